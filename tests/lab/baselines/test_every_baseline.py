"""What every baseline must do, whatever it is: train, resume, diverge in one line, start where all others start."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from infopace.lab import run as run_module
from infopace.lab.baselines import BASELINES
from infopace.lab.config import TrainConfig, resolve
from infopace.lab.errors import Diverged
from infopace.lab.optimizers import SGDRecipe
from infopace.lab.training import Training

AVERAGED = ("schedule-free-sgd", "schedule-free-adamw", "schedule-free-adamw-algoperf", "dog")

# With batch norm: those that replace the weights, and those that evaluate a batch again or restore a network.
NORMED = ("sgd-cosine", *AVERAGED, "muon", "salsa-repaired", "refined-linear")

every_baseline = pytest.mark.parametrize("name", BASELINES)


@every_baseline
def test_it_trains(tiny: Any, tmp_path: Path, rates: dict[str, float], name: str) -> None:
    tiny.run(tmp_path, method=name, lr=rates[name], epochs=20)
    rows, _ = tiny.ending(tmp_path)
    losses, tests = [row["train_loss"] for row in rows[1:]], [row["test"] for row in rows]
    if name.startswith("salsa"):
        # On batches of 16 its line search, in eval mode and so without dropout, raises the rate until the loss rises.
        losses, tests = [losses[0], min(losses)], [max(tests)]
    assert losses[-1] < 0.7 < losses[0]
    assert tests[-1] > 0.5  # chance is a third
    assert all(0 < lr < math.inf for row in rows[1:] for lr in row["lr"])
    assert all(row["information"] == {} and row["decisions"] == [] for row in rows)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["settings"]["method"] == name
    assert record["settings"]["lr"] == rates[name]
    assert record["bounds"] is None
    assert record["groups"] == (["0", "1"] if name == "muon" else ["all"])


@pytest.mark.parametrize(
    ("name", "workload"),
    [*((name, "tiny") for name in BASELINES), *((name, "normed") for name in NORMED)],
)
def test_a_stopped_run_ends_as_one_that_was_not(
    request: pytest.FixtureRequest,
    stop_at: Any,
    stopped: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rates: dict[str, float],
    name: str,
    workload: str,
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    small = request.getfixturevalue(workload)
    check_stopped(small, 3, stop_at, stopped, tmp_path, method=name, lr=rates[name])


def check_stopped(small: Any, epoch: int, stop_at: Any, stopped: Any, folder: Path, **options: Any) -> None:
    """Stop a run in an epoch and resume it: it ends as one that was not stopped."""
    small.run(folder / "whole", **options)
    with pytest.raises(stopped):
        small.run(folder / "cut", stop_at(epoch), **options)
    listener = stop_at()
    small.run(folder / "cut", listener, **options)
    assert f"resuming after epoch {epoch - 1}" in listener.heard[1]
    small.assert_same_ending(folder / "whole", folder / "cut")


def test_a_run_stopped_after_its_pilot_ends_as_one_that_was_not(
    normed: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))
    # The pilot has three of the six epochs.
    check_stopped(normed, 6, stop_at, stopped, tmp_path, method="refined-linear", lr=0.05)


@pytest.mark.needs_cuda
@every_baseline
def test_cuda_resumes_bit_for_bit(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, rates: dict[str, float], name: str
) -> None:
    options = {"method": name, "lr": rates[name], "device": "cuda"}
    tiny.run(tmp_path / "whole", **options)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4), **options)
    tiny.run(tmp_path / "cut", **options)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


# The second is beyond float32, and its square beyond float64.
@pytest.mark.parametrize("lr", [1e30, 1e200])
@every_baseline
def test_a_rate_that_is_too_large_ends_as_a_divergence(
    tiny: Any, tmp_path: Path, name: str, lr: float
) -> None:
    with pytest.raises(
        Diverged, match=r"training diverged in epoch \d+ at learning rate \S+: .* not finite|: .* is "
    ):
        tiny.run(tmp_path, method=name, lr=lr, epochs=20)


def _training(name: str, lr: float, seed: int = 0, **options: Any) -> Training:
    plan = resolve(TrainConfig(workload="tiny", method=name, lr=lr, seed=seed, threads=1, **options))
    return Training(plan, plan.workload.load())


def test_all_start_at_the_same_weights(tiny: Any, rates: dict[str, float]) -> None:
    plan = resolve(TrainConfig(workload="tiny", threads=1))
    paced = Training(plan, tiny.workload.load()).model.state_dict()
    other = _training("adam", 0.01, seed=1).model.state_dict()
    assert not all(torch.equal(paced[key], other[key]) for key in paced)
    for name in BASELINES:
        training = _training(name, rates[name])
        training.evaluate()
        weights = training.model.state_dict()
        assert all(torch.equal(paced[key], weights[key]) for key in paced), name


@pytest.mark.parametrize(
    ("name", "bf16"), [*((name, False) for name in BASELINES), *((name, True) for name in AVERAGED)]
)
def test_evaluation_changes_nothing(normed: Any, rates: dict[str, float], name: str, bf16: bool) -> None:
    watched, unwatched = (_training(name, rates[name], bf16=bf16) for _ in range(2))
    for epoch in (1, 2, 3):
        watched.evaluate()
        watched.evaluate()
        losses = [training.train_epoch(epoch, lambda done, total: None) for training in (watched, unwatched)]
        assert losses[0] == losses[1]
    states = [training.model.state_dict() for training in (watched, unwatched)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_what_is_tuned() -> None:
    for name, baseline in BASELINES.items():
        assert name == baseline.name
        assert "\n" not in baseline.summary
        if baseline.grid:
            assert len(baseline.grid) == 10
            assert list(baseline.grid) == sorted(set(baseline.grid))
            assert baseline.lr is None or baseline.grid[0] < baseline.lr < baseline.grid[-1]
        else:
            assert baseline.of_the_run or baseline.lr is not None


def test_no_package_of_a_baseline_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, infopace.cli\n"
        "from infopace.lab import run, baselines\n"
        "print(sorted({'schedulefree', 'prodigyopt', 'pytorch_optimizer', 'transformers'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert ran.stdout == "[]\n", ran.stderr


def test_nothing_is_printed(tiny: Any, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.change(optimizer=SGDRecipe(weight_decay=1e-4))
    for name, baseline in BASELINES.items():
        _training(name, baseline.lr or 0.1)
    assert capfd.readouterr() == ("", "")
