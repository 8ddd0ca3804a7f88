"""Runs whose learning rate is found in their first steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from infopace import MutualInformationLR
from infopace.cli import main
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.progress import PlainProgress
from infopace.lab.run_folder import RunFolder
from infopace.lab.training import Training


def numbers(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run without the clock's."""
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in RunFolder(folder).read_rows()
    ]


def test_it_is_the_default_and_says_what_it_found(tiny: Any, tmp_path: Path) -> None:
    heard: list[str] = []
    tiny.run(tmp_path, PlainProgress(heard.append), bounds="auto", epochs=12)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["bounds"] is None and record["settings"]["lr_max"] == "the run"
    rows = numbers(tmp_path)
    assert rows[1]["finding"] and "finding" not in rows[-1]
    # The line of the search comes first, and each look has one.
    said = [line for line in heard if ", trials of " in line or ", looks of " in line]
    assert said[0].startswith("note: found lr ") and len(said) == len(set(said))
    assert "one learning rate, found in the run" in heard[0]
    # The last epochs decay, and the whole run has the planned epochs or fewer.
    assert rows[-1]["decisions"][0]["phase"] == "decay" and len(rows) <= 13


@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_stops_while_it_searches_resumes_bit_for_bit(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    tiny.run(tmp_path / "whole", bounds="auto", epochs=8)
    usual = Training.run_epoch

    def run_epoch(self: Training, epoch: int, on_batch: Any) -> Any:
        if epoch == stop + 1:
            raise KeyboardInterrupt
        return usual(self, epoch, on_batch)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "run_epoch", run_epoch)
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tmp_path / "cut", bounds="auto", epochs=8)
    tiny.run(tmp_path / "cut", bounds="auto", epochs=8)
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")


def test_a_trial_that_ruins_the_network_is_no_divergence(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = MutualInformationLR.get_lr

    def get_lr(self: MutualInformationLR) -> list[float]:
        rates = usual(self)
        # In trials above a tenth the step is far too long.
        return [1e20 if self.finding and rate > 0.1 else rate for rate in rates]

    monkeypatch.setattr(MutualInformationLR, "get_lr", get_lr)
    tiny.run(tmp_path, bounds="auto", epochs=10)
    rows = numbers(tmp_path)
    assert all(torch.isfinite(torch.tensor(row["test"])) for row in rows)
    assert rows[-1]["lr"][0] < 0.1 and len(rows) > 5


@pytest.mark.parametrize(
    "choices", [{"every": "4"}, {"layer_wise": True}, {"optimizer": "adamw"}, {"stop_early": True}]
)
def test_with_other_options_too(tiny: Any, tmp_path: Path, choices: dict[str, Any]) -> None:
    tiny.run(tmp_path, bounds="auto", epochs=12, **choices)
    rows = numbers(tmp_path)
    assert rows[-1]["test"] > rows[0]["test"]
    assert rows[1].get("finding")


def test_what_it_would_not_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--bounds", "run", "--lr-max", "0.1"]) == 2
    assert "lr_max must not be given with bounds = run, got lr_max = 0.1" in capsys.readouterr().err
    assert main(["train", "digits", "--bounds", "run", "--method", "vasudevan-2020"]) == 2
    assert "bounds = run is an option of infopace, not of vasudevan-2020" in capsys.readouterr().err
    assert main(["train", "digits", "--method", "hold-and-decay", "--stop-early"]) == 2
    assert "stop_early is an option of infopace, not of hold-and-decay" in capsys.readouterr().err


def test_with_some_bounds_given_a_range_test_finds_the_others() -> None:
    assert resolve(TrainConfig()).bounds is None
    assert resolve(TrainConfig(lr_max=0.1)).wants_test
    both = resolve(TrainConfig(lr_min=1e-3, lr_max=0.1))
    assert not both.wants_test and both.bounds is not None
    assert resolve(TrainConfig(method="hold-and-decay")).wants_test
