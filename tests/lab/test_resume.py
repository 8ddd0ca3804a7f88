"""A run that was stopped anywhere goes on and ends with the same numbers, whatever the stop left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from infopace.lab import run as run_module
from infopace.lab.errors import InputError
from infopace.lab.run_folder import RunFolder


@pytest.mark.parametrize("layer_wise", [False, True])
@pytest.mark.parametrize("epoch", [1, 3, 6])
def test_a_stopped_run_ends_as_one_that_was_not(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, epoch: int, layer_wise: bool
) -> None:
    tiny.run(tmp_path / "whole", layer_wise=layer_wise)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(epoch), layer_wise=layer_wise)
    listener = stop_at()
    tiny.run(tmp_path / "cut", listener, layer_wise=layer_wise)
    if epoch > 1:  # epoch 1 stops before its checkpoint, and only the untrained one is there
        assert "resuming after epoch" in listener.heard[1]
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_stopped_many_times(tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path) -> None:
    tiny.run(tmp_path / "whole")
    for epoch in range(2, 7):
        with pytest.raises(stopped):
            tiny.run(tmp_path / "cut", stop_at(epoch))
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("where", ["untrained_row", "save_checkpoint", "draw_run", "write_json"])
def test_stopped_outside_of_the_epochs(
    tiny: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    tiny.run(tmp_path / "whole")
    holder = {"untrained_row": run_module.Training, "draw_run": run_module}.get(where, RunFolder)

    def stop(*arguments: Any, **named: Any) -> None:
        raise stopped

    with monkeypatch.context() as patch:
        patch.setattr(holder, where, stop)
        with pytest.raises(stopped):
            tiny.run(tmp_path / "cut")
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def _tear_last_row(folder: Path) -> None:
    content = (folder / "epochs.jsonl").read_bytes()
    (folder / "epochs.jsonl").write_bytes(content[:-25])


def _append_half_a_row(folder: Path) -> None:
    with open(folder / "epochs.jsonl", "ab") as file:
        file.write(b'{"epoch": 5, "lr": [0.0')


def _append_a_row_without_checkpoint(folder: Path) -> None:
    lines = (folder / "epochs.jsonl").read_text().splitlines()
    row = json.loads(lines[-1])
    row["epoch"] += 1
    row["test"] = 0.0
    with open(folder / "epochs.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def _tear_run_json(folder: Path) -> None:
    content = (folder / "run.json").read_bytes()
    (folder / "run.json").write_bytes(content[: len(content) // 2])


def _lose_run_json(folder: Path) -> None:
    (folder / "run.json").unlink()


def _lose_rows(folder: Path) -> None:
    (folder / "epochs.jsonl").unlink()


def _leave_partial_files(folder: Path) -> None:
    (folder / ".run.json.123.tmp").write_bytes(b"{")
    (folder / ".epoch-0004-0123456789abcdef.pt.123.tmp").write_bytes(b"PK")


def _lose_checkpoints(folder: Path) -> None:
    for path in folder.glob("epoch-*.pt"):
        path.unlink()


def _lose_lock(folder: Path) -> None:
    (folder / "lock").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        _tear_last_row,
        _append_half_a_row,
        _append_a_row_without_checkpoint,
        _tear_run_json,
        _lose_run_json,
        _lose_rows,
        _leave_partial_files,
        _lose_checkpoints,
        _lose_lock,
    ],
)
def test_half_written_files_never_break_a_run(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    tiny.run(tmp_path / "whole")
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4))
    damage(tmp_path / "cut")
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")
    assert not list((tmp_path / "cut").glob(".*.tmp"))


@pytest.mark.parametrize("corruption", ["torn", "flipped", "empty"])
def test_a_corrupt_checkpoint_falls_back_to_the_one_before_and_says_so(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, corruption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    tiny.run(tmp_path / "whole")
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4))
    newest, before = RunFolder(tmp_path / "cut").checkpoints()
    content = bytearray(newest.read_bytes())
    if corruption == "flipped":
        content[len(content) // 2] ^= 1
    newest.write_bytes({"torn": content[: len(content) // 2], "flipped": content, "empty": b""}[corruption])

    listener = stop_at()
    tiny.run(tmp_path / "cut", listener)
    assert any(newest.name in note and "corrupt" in note for note in listener.notes)
    assert any(f"resuming after epoch {int(before.name[6:10])}" in line for line in listener.heard)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_all_checkpoints_corrupt_starts_over_and_says_so(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    tiny.run(tmp_path / "whole")
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(4))
    for path in RunFolder(tmp_path / "cut").checkpoints():
        path.write_bytes(b"torn")
    listener = stop_at()
    tiny.run(tmp_path / "cut", listener)
    assert any("the run starts from the beginning" in note for note in listener.notes)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_a_checkpoint_of_another_model_is_refused(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path
) -> None:
    with pytest.raises(stopped):
        tiny.run(tmp_path / "run", stop_at(4))
    tiny.change(build_model=lambda: nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3)))
    with pytest.raises(
        InputError, match=r"checkpoint .*epoch-000\d-.*\.pt is of another model: .*size mismatch"
    ):
        tiny.run(tmp_path / "run")


def test_a_checkpoint_of_another_run_is_refused(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infopace.lab.run._CHECKPOINT_SHARE", float("inf"))  # one each epoch
    with pytest.raises(stopped):
        tiny.run(tmp_path / "one", stop_at(4), seed=1)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "other", stop_at(2), seed=2)
    foreign = RunFolder(tmp_path / "other").checkpoints()[0]
    for own in RunFolder(tmp_path / "one").checkpoints():
        own.unlink()
    (tmp_path / "one" / foreign.name).write_bytes(foreign.read_bytes())
    with pytest.raises(InputError, match="belongs to another run: seed is 2 there and 1 here"):
        tiny.run(tmp_path / "one", seed=1)


def test_the_data_must_be_the_same(tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path) -> None:
    with pytest.raises(stopped):
        tiny.run(tmp_path, stop_at(2))
    data = tiny.workload.load()
    data.train_inputs[0, 0] += 1
    tiny.change(load=lambda: data)
    with pytest.raises(InputError, match=r"the data changed since the run in .* was started"):
        tiny.run(tmp_path)


def test_threads_are_those_the_run_was_started_with(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infopace.lab.config import TrainConfig
    from infopace.lab.run import train

    with pytest.raises(stopped):
        tiny.run(tmp_path, stop_at(2))  # on one thread
    used: list[int] = []
    monkeypatch.setattr(run_module, "set_determinism", lambda threads, device: used.append(threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    train(TrainConfig(workload="tiny", bounds="workload", out=tmp_path), stop_at())
    assert used == [1]


@pytest.mark.parametrize("begun_with", [False, True])
def test_error_bars_are_those_the_run_was_started_with(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, begun_with: bool
) -> None:
    tiny.run(tmp_path / "whole", std_error=begun_with)
    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", stop_at(3), std_error=begun_with)
    tiny.run(tmp_path / "cut", std_error=not begun_with)
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_says_so_and_shows_its_summary_again(tiny: Any, stop_at: Any, tmp_path: Path) -> None:
    first = tiny.run(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    listener = stop_at()
    again = tiny.run(tmp_path, listener)
    assert again.lines == first.lines
    assert listener.notes == [
        f"note: this run is finished; to train again, remove {tmp_path} or choose another --out"
    ]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_no_global_random_state_leaks_in(tiny: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    tiny.run(tmp_path / "one")
    torch.manual_seed(2)
    tiny.run(tmp_path / "other")
    tiny.assert_same_ending(tmp_path / "one", tmp_path / "other")
