"""Runs that are measured every so many optimizer steps, and the signal that drives them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from infopace.lab import run as run_module
from infopace.lab.compare import CompareConfig
from infopace.lab.compare._cells import final_cells
from infopace.lab.compare._config import inputs_of, resolve_comparison
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.errors import InputError
from infopace.lab.run_folder import RunFolder
from infopace.lab.steps import PacedSteps
from infopace.lab.tasks import MULTI_LABEL, NUMBERS
from infopace.lab.training import Training
from infopace.lab.workload import Data

OWN = f"{Path(__file__).with_name('own.py')}:MINE"


def training(**options: Any) -> Training:
    plan = resolve(TrainConfig(workload="tiny", bounds="workload", threads=1, **options))
    return Training(plan, plan.workload.load())


def test_a_run_by_steps_ends_its_decay_with_its_last_step(tiny: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path, every="5", epochs=30)
    rows, _ = tiny.ending(tmp_path)
    # 108 of 120 examples in seven batches: 210 steps, in units of 40. Held-out examples may end it sooner.
    assert len(rows) <= 31
    phases = [row["decisions"][0]["phase"] for row in rows[1:]]
    assert phases[0] == "hold" and "decay" in phases
    assert rows[-1]["lr"][0] < 0.2 * max(row["lr"][0] for row in rows[1:])
    assert "step" in rows[-1]["decisions"][0]["reason"]
    assert rows[-1]["test"] > 0.5
    settings = json.loads((tmp_path / "run.json").read_text())["settings"]
    assert settings["every"] == 5 and "signal" not in settings


@pytest.mark.parametrize("every", ["5", "12"])
def test_a_stopped_run_by_steps_ends_as_one_that_was_not(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    tiny.run(tmp_path / "whole", every=every, epochs=12)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4), every=every, epochs=12)
    tiny.run(tmp_path / "cut", every=every, epochs=12)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_epochs_by_steps_have_as_many_steps_with_the_held_out_examples_as_without(tiny: Any) -> None:
    run = training(every="5", epochs=30, held_out=0.25)
    steps: dict[bool, set[int]] = {True: set(), False: set()}
    for epoch in range(1, 31):
        totals: list[int] = []
        run.train_epoch(epoch, lambda done, total, totals=totals: totals.append(total))
        steps[run.n_held_out > 0].update(totals)
    assert steps == {True: {6}, False: {6}}  # of 90 examples in batches of 16


# One measurement may take longer than the whole run of this network.
@pytest.mark.filterwarnings("ignore:every='auto' would measure")
def test_auto_chooses_a_cadence(tiny: Any) -> None:
    run = training(every="auto", epochs=5)
    assert isinstance(run.steps, PacedSteps) and run.steps.scheduler.every is None
    for epoch in (1, 2, 3):
        run.run_epoch(epoch, lambda done, total: None)
    assert run.steps.scheduler.every is not None and run.steps.scheduler.every >= 1


@pytest.mark.filterwarnings("ignore:.*were rolled back one after the other")
def test_what_diverges_in_the_middle_of_an_epoch_is_rolled_back_and_the_epoch_goes_on(
    tiny: Any, tmp_path: Path
) -> None:
    result = tiny.run(tmp_path, every="4", epochs=12, lr_min=0.01, lr_max=100.0, lr_top=50.0)
    rows = RunFolder(tmp_path).read_rows()
    assert len(rows) == 13
    assert all(row["train_loss"] is not None for row in rows[1:])
    assert min(row["lr"][0] for row in rows[1:]) < 50.0
    assert result.lines


def test_the_signal_is_recorded_and_drives(tiny: Any, tmp_path: Path) -> None:
    for signal in ("neighbours", "usable"):
        tiny.run(tmp_path / signal, signal=signal)
        settings = json.loads((tmp_path / signal / "run.json").read_text())["settings"]
        assert settings["signal"] == signal
    nats = [
        RunFolder(tmp_path / s).read_rows()[3]["information"]["output"]["nats"]
        for s in ("neighbours", "usable")
    ]
    assert nats[0] != nats[1]
    with pytest.raises(InputError, match="signal is 'usable' there and None here"):
        tiny.run(tmp_path / "usable")


@pytest.mark.parametrize("every", ["0", "-3", "2.5", "often", "²"])
def test_a_cadence_that_is_none(tiny: Any, every: str) -> None:
    complaint = f"every must be a number of steps of at least 1, or auto, got every = {every}"
    with pytest.raises(InputError, match=complaint):
        resolve(TrainConfig(workload="tiny", every=every))
    with pytest.raises(InputError, match=complaint):
        resolve_comparison(CompareConfig(OWN, every=every))


@pytest.mark.parametrize("option", [{"every": "5"}, {"signal": "usable"}])
def test_a_baseline_measures_nothing(tiny: Any, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is an option of paced methods, not of adam"):
        resolve(TrainConfig(workload="tiny", method="adam", **option))


def test_a_comparison_passes_them_on_and_records_them(tmp_path: Path) -> None:
    plan = resolve_comparison(
        CompareConfig(OWN, ("hold-and-decay", "adam"), signal="usable", every="10", out=tmp_path)
    )
    paced, baseline = (final_cells(entry, 0.1, plan)[0].command(plan, "cpu", {}) for entry in plan.entries)
    assert (paced.signal, paced.every) == ("usable", "10")
    assert (baseline.signal, baseline.every) == ("auto", None)
    resolve(baseline)
    usual = resolve_comparison(CompareConfig(OWN, ("hold-and-decay",)))
    data = plan.workload.load()
    assert {"signal", "every"} & inputs_of(usual, data).keys() == set()
    assert inputs_of(plan, data)["signal"] == "usable" and plan.settings()["every"] == "10"


def test_a_regression_s_reference_is_computed_only_for_a_rule_that_reads_it(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def reference(rows: Any, seed: int) -> float:
        asked.append(seed)
        return 1.0

    monkeypatch.setattr("infopace.lab.training.reference_of", reference)
    data = tiny.workload.load()
    inputs = torch.as_tensor(data.train_inputs)
    tiny.change(load=lambda: Data(inputs, inputs[:, :3], inputs, inputs[:, :3]), task=NUMBERS)
    training(seed=5)
    assert asked == []
    training(seed=5, method="vasudevan-2020")
    assert asked == [5]
    several = (inputs[:, :3] > 0).float()
    tiny.change(load=lambda: dataclasses.replace(data, train_targets=several, test_targets=several[:60]))
    tiny.change(task=MULTI_LABEL)
    training(seed=5, method="vasudevan-2020")
    assert asked == [5]
