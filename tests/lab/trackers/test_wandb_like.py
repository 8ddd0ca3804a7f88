"""wandb and trackio, against a package of their form: no epoch twice, none missing, whatever a kill cut off."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace.lab.progress import PlainProgress
from infopace.lab.trackers import tracked
from infopace.lab.trackers._facts import Epoch, Start
from infopace.lab.trackers._wandb_like import WandbLike, trackio, wandb

from .fakes import FakePackage

MAKERS = {"wandb": wandb, "trackio": trackio}


def epochs(first: int, last: int) -> list[Epoch]:
    return [Epoch(number, {"test_accuracy": number / 10}, "", 1.0) for number in range(first, last + 1)]


def made(name: str, package: FakePackage) -> WandbLike:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, package)
        return MAKERS[name]()


@given(
    name=st.sampled_from(sorted(MAKERS)),
    behind=st.integers(0, 3),
    lives=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=5),
)
def test_whatever_kills_cut_off_every_epoch_is_there_once(
    name: str, behind: int, lives: list[tuple[int, int]]
) -> None:
    package = FakePackage(behind)
    checkpoint = 0
    with tempfile.TemporaryDirectory() as folder:
        start = Start(Path(folder), {})
        for (
            trained,
            behind_checkpoint,
        ) in lives:  # a kill comes `behind_checkpoint` epochs after the checkpoint
            tracker = made(name, package)
            tracker.start(start, epochs(0, checkpoint))
            last = checkpoint + trained
            for epoch in epochs(checkpoint + 1, last):
                tracker.log(epoch)
            checkpoint = max(checkpoint, last - behind_checkpoint)
        tracker = made(name, package)
        tracker.start(start, epochs(0, checkpoint))
        for epoch in epochs(checkpoint + 1, checkpoint + 2):
            tracker.log(epoch)
        tracker.finish()
    # More may be there than the last life trained: an epoch that was handed over and then rolled back.
    (steps,) = package.steps()
    assert steps == list(range(len(steps)))
    assert len(steps) >= checkpoint + 3


def test_offline_every_start_is_a_whole_run(tmp_path: Path) -> None:
    package = FakePackage(offline=True)
    for last in (2, 4):
        tracker = made("wandb", package)
        tracker.start(Start(tmp_path, {}), epochs(0, last))
        tracker.finish()
    assert package.steps() == [[0, 1, 2], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_two_runs_of_one_name_are_two(name: str, tmp_path: Path) -> None:
    package = FakePackage()
    for parent in ("one", "other"):
        folder = tmp_path / parent / "digits-seed0"
        folder.mkdir(parents=True)
        tracker = made(name, package)
        tracker.start(Start(folder, {}), epochs(0, 2))
        tracker.finish()
    assert package.steps() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_run_that_is_stopped_and_resumed(
    name: str, tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, name, package)
    for epoch in (2, 5):
        with pytest.raises(stopped):
            tiny.run(tmp_path / "cut", tracked(stop_at(epoch), [name]))
    with contextlib.closing(tracked(PlainProgress([].append), [name])) as listener:
        tiny.run(tmp_path / "cut", listener)
    (kept,) = package.server.values()
    rows, _ = tiny.ending(tmp_path / "cut")
    assert [step for step, _ in kept] == [0, 1, 2, 3, 4, 5, 6]
    for row, (_, logged) in zip(rows, kept, strict=True):
        found = row["information"]["output"]
        assert logged["test_accuracy"] == row["test"]
        assert logged["information/output"] == found["nats"]
        assert logged["information_error/output"] == found["std_error"]
        assert logged["information_reference"] == row["reference"]
        assert {"seconds/train", "seconds/evaluate", "seconds/measure"} < logged.keys()
        if row["epoch"]:
            (decision,) = row["decisions"]
            assert logged["train_loss"] == row["train_loss"]
            assert [logged["lr"]] == row["lr"]
            assert logged["decision"] == f"output: {decision['phase']}: {decision['reason']}"
    assert len(package.inits) == 3
    assert package.runs[-1].finished


def test_what_wandb_gets_at_the_start(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, "wandb", package)
    tiny.run(tmp_path / "run", tracked(PlainProgress([].append), ["wandb"]), epochs=1, seed=3)
    (init,) = package.inits
    mark = (tmp_path / "run" / "track-id").read_text()
    config = init.pop("config")
    assert init == {
        "project": "infopace",
        "name": f"run-{mark}",
        "resume": "allow",
        "id": mark,
        "dir": str(tmp_path / "run"),
    }
    assert {
        "workload": "tiny",
        "seed": 3,
        "epochs": 1,
        "lr_max": 0.2,
        "parameters": 67,
    }.items() <= config.items()


def test_trackio_is_found_again_by_its_name_alone(tmp_path: Path) -> None:
    package = FakePackage()
    made("trackio", package).start(Start(tmp_path, {}), epochs(0, 0))
    assert package.inits[0].keys() == {"project", "name", "config", "resume"}
