"""Every script in examples/ runs, and does what it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()


def test_every_example_is_run_here() -> None:
    tests = {name.removeprefix("test_") for name in globals()}
    assert sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in tests) == []


def test_plain_loop(capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = run("plain_loop")
    assert accuracy > 0.9
    assert f"test accuracy {accuracy:.1%}" in capsys.readouterr().out


def test_layerwise(capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = run("layerwise")
    assert len(scheduler.optimizer.param_groups) == 3
    rates = [[decision.lr for decision in epoch] for epoch in scheduler.decisions]
    assert any(len(set(epoch)) == 3 for epoch in rates), (
        f"the layers must have rates of their own, got {rates}"
    )
    assert capsys.readouterr().out.count("learning rates") == 3


def test_measure_layers(capsys: pytest.CaptureFixture[str]) -> None:
    measurement = run("measure_layers")
    assert set(measurement.layers) >= {"0", "2", "output"}
    first = measurement["0"].estimate
    assert 0.8 < first.nats <= measurement.reference + 3 * first.std_error
    assert "nats to know" in capsys.readouterr().out


def test_own_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("own_workload")
    assert result.folder.name.startswith("breast-cancer-infopace-held-out-seed0-")
    assert result.picture.is_file()
    found = re.search(r"test accuracy (\d\d\.\d\d) % after (?:8|9|10) epochs", capsys.readouterr().out)
    assert found is not None
    assert float(found[1]) > 93


@pytest.mark.filterwarnings("ignore:::lightning")
def test_with_lightning(capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = run("with_lightning")
    assert accuracy > 0.9
    assert f"validation accuracy {accuracy:.1%}" in capsys.readouterr().out


def test_with_accelerate(capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = run("with_accelerate")
    assert accuracy > 0.9
    assert f"validation accuracy {accuracy:.1%}" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*pin_memory")
def test_with_transformers(capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = run("with_transformers")
    assert scheduler.history["output"][-1] > 2
    assert "found lr" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # Keras leaves tensors in its logs where a warning is an error
def test_with_keras(capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = run("with_keras")
    assert accuracy > 0.85
    assert f"validation accuracy {accuracy:.1%}" in capsys.readouterr().out


def test_find_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    found = run("find_bounds")
    assert found.bounds.lr_min < found.bounds.lr_top < found.bounds.lr_max
    assert f"lr_top   {found.bounds.lr_top:.3g}" in capsys.readouterr().out
