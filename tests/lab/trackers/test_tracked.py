"""Trackers behind a listener: what they log, and that they cannot stop the run."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab.progress import Listener, PlainProgress
from infopace.lab.trackers import Tracked, tracked
from infopace.lab.trackers._facts import Epoch, Start, epoch_of

from .fakes import FakePackage


class Frail:
    """Fails at one of its calls, and records its calls."""

    def __init__(self, at: str) -> None:
        self.at, self.calls = at, []

    def _hear(self, what: str) -> None:
        self.calls.append(what)
        if what == self.at:
            raise ConnectionError("the network is\ndown")

    def start(self, start: Start, epochs: list[Epoch]) -> None:
        self._hear("start")

    def log(self, epoch: Epoch) -> None:
        self._hear(f"epoch {epoch.number}")

    def finish(self) -> None:
        self._hear("finish")


WHOLE = ["start", *(f"epoch {i}" for i in range(1, 7)), "finish"]


@pytest.mark.parametrize("at", ["start", "epoch 3", "finish"])
def test_a_tracker_that_fails_is_one_note_and_then_silence(
    at: str, tiny: Any, stop_at: Any, tmp_path: Path
) -> None:
    tiny.run(tmp_path / "plain")
    listener, frail, sound = stop_at(), Frail(at), Frail("")
    with contextlib.closing(Tracked(listener, {"frail": frail, "sound": sound})) as both:
        tiny.run(tmp_path / "tracked", both)
    tiny.assert_same_ending(tmp_path / "plain", tmp_path / "tracked")
    assert listener.notes == ["note: frail failed and logs no more of this run: the network is down"]
    assert frail.calls == WHOLE[: WHOLE.index(at) + 1]
    assert sound.calls == WHOLE


def test_ctrl_c_in_a_tracker_is_the_users(tiny: Any, tmp_path: Path) -> None:
    class Interrupted(Frail):
        def _hear(self, what: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path / "run", Tracked(PlainProgress([].append), {"tracker": Interrupted("")}))


def test_everything_is_handed_over_before_the_run_counts_as_finished(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is found finished is not started again, so nothing could be made good by then."""
    finished_before_the_summary: list[bool] = []

    class Watching(Frail):
        def finish(self) -> None:
            finished_before_the_summary.append(not (tmp_path / "run" / "summary.json").exists())

    tiny.run(tmp_path / "run", Tracked(PlainProgress([].append), {"tracker": Watching("")}))
    assert finished_before_the_summary == [True]


def test_a_run_killed_behind_its_last_epoch_is_finished_by_the_next(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    tiny.run(tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    tracker = Frail("")
    tiny.run(tmp_path / "run", Tracked(PlainProgress([].append), {"tracker": tracker}))
    assert tracker.calls == ["start", "finish"]


def test_without_trackers_the_listener_stays_as_it_is() -> None:
    progress = PlainProgress([].append)
    assert tracked(progress, []) is progress


def test_it_passes_everything_on(tiny: Any, stop_at: Any, tmp_path: Path) -> None:
    alone, behind = stop_at(), stop_at()
    tiny.run(tmp_path / "one" / "run", alone)
    listener = Tracked(behind, {"tracker": Frail("")})
    assert isinstance(listener, Listener)
    tiny.run(tmp_path / "other" / "run", listener)

    def without_seconds(lines: list[str]) -> list[str]:
        return [
            line.rpartition("  ")[0] if line.endswith(" s") else line.replace("other", "one")
            for line in lines
        ]

    assert without_seconds(behind.heard) == without_seconds(alone.heard)


def test_a_row_of_a_baseline_has_no_information_and_no_text(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, "wandb", package)
    baseline = {"bounds": "auto", "method": "sgd-constant", "lr": 0.05}
    tiny.run(tmp_path / "run", tracked(PlainProgress([].append), ["wandb"]), **baseline)
    (kept,) = package.server.values()
    seconds = {"seconds/train", "seconds/evaluate", "seconds/measure"}
    assert kept[0][1].keys() == {"test_accuracy", *seconds}
    for _, logged in kept[1:]:
        assert logged.keys() == {"test_accuracy", "train_loss", "lr", *seconds}
        assert logged["lr"] == 0.05
    config = package.inits[0]["config"]
    assert config["lr"] == 0.05
    assert "lr_max" not in config


def test_several_groups_are_named_by_their_layers_or_numbered() -> None:
    row: dict[str, Any] = {
        "epoch": 2,
        "lr": [0.1, 0.02],
        "train_loss": 0.5,
        "test": 0.9,
        "held_out": {"fc2": 1.5},
        "information": {
            "fc1": {"nats": 1.0, "std_error": None, "decoder": None},
            "fc2": {"nats": 2.0, "std_error": 0.1, "decoder": 1.9},
        },
        "reference": 2.3,
        "decisions": [
            {"layer": "fc1", "lr": 0.1, "phase": "hold", "reason": "moving"},
            {"layer": "fc2", "lr": 0.02, "phase": "decay", "reason": "settled"},
        ],
        "seconds": {"train": 1.0, "evaluate": 0.5},
    }
    assert epoch_of(row, "accuracy") == Epoch(
        2,
        {
            "train_loss": 0.5,
            "test_accuracy": 0.9,
            "lr/fc1": 0.1,
            "lr/fc2": 0.02,
            "information/fc1": 1.0,
            "information/fc2": 2.0,
            "information_error/fc2": 0.1,
            "information_held_out/fc2": 1.5,
            "information_reference": 2.3,
            "seconds/train": 1.0,
            "seconds/evaluate": 0.5,
        },
        "fc1: hold: moving\nfc2: decay: settled",
        1.5,
    )
    numbered = epoch_of({**row, "decisions": []}, "accuracy").numbers
    assert (numbered["lr/0"], numbered["lr/1"]) == (0.1, 0.02)


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("tensorboard", "torch.utils.tensorboard", 'pip install "infopace[track]"'),
        ("wandb", "wandb", "pip install wandb"),
        ("trackio", "trackio", "pip install trackio"),
    ],
)
def test_a_missing_package_is_one_line_before_anything_runs(
    name: str,
    module: str,
    install: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    out = tmp_path / "run"
    assert main(["train", "digits", "--track", name, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"infopace: --track {name} needs {name}: {install} (")
    assert not out.exists()
