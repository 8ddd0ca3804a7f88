"""A run by several processes: one folder, one decision, resumed on any number of them, ended by any that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from infopace.lab.config import TrainConfig
from infopace.lab.errors import Diverged, InputError
from infopace.lab.processes import Parts, joined, processes_started
from infopace.lab.progress import Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from infopace.model import ProcessError, Processes

from ..team import Team, team

OWN = Path(__file__).with_name("own.py")


def ask(out: Path, **choices: Any) -> TrainConfig:
    bounds = None if "lr" in choices or choices.get("method") == "l4" else "workload"
    settings = {"bounds": bounds or "auto", "epochs": 4, "threads": 1, "out": out, **choices}
    return TrainConfig(workload=f"{OWN}:MINE", **settings)


class Recorded(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class StopAt(Recorded):
    """The process ends after an epoch, as if it were killed."""

    def __init__(self, epoch: int, rank: int | None = None) -> None:
        super().__init__()
        self._epoch, self._rank = epoch, rank

    def epoch(self, row: dict[str, Any]) -> None:
        if row["epoch"] == self._epoch and self._rank in (None, dist.get_rank()):
            os._exit(1)


def run(out: Path, choices: dict[str, Any], stop: int | None = None, rank: int | None = None) -> list[str]:
    listener = Recorded() if stop is None else StopAt(stop, rank)
    train(ask(out, **choices), listener, picture=False)
    return listener.notes


def numbers(out: Path) -> list[dict[str, Any]]:
    """The rows without the times, which differ."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(out).read_rows()]


@pytest.mark.parametrize(
    "choices",
    [{}, {"method": "l4"}, pytest.param({"layer_wise": True}, marks=pytest.mark.slow)],
    ids=["default", "a loss is read", "layer-wise"],
)
def test_one_folder_is_written_by_all(four: Team, tmp_path: Path, choices: dict[str, Any]) -> None:
    four.run(run, tmp_path / "four", choices)
    rows = numbers(tmp_path / "four")
    train(ask(tmp_path / "one", **choices), Silent(), picture=False)
    alone = numbers(tmp_path / "one")
    # The same batches: the same run, but for the last bits.
    assert len(rows) == 5 and rows[0] == alone[0]
    for row, expected in zip(rows[1:], alone[1:], strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
        assert row["test"] == pytest.approx(expected["test"], abs=0.05)
        assert row["lr"] == pytest.approx(expected["lr"], rel=1e-4)
    record = json.loads((tmp_path / "four" / "run.json").read_text())
    assert record["processes"] == 4 and (tmp_path / "four" / "summary.json").is_file()


def test_a_killed_run_is_resumed_bit_for_bit_and_on_another_number(four: Team, tmp_path: Path) -> None:
    four.run(run, tmp_path / "whole", {})
    with team(4) as killed:
        for answer in killed.answers(run, tmp_path / "cut", {}, 2):
            assert answer.error is not None
    assert len(numbers(tmp_path / "cut")) == 3
    shutil.copytree(tmp_path / "cut", tmp_path / "other")
    four.run(run, tmp_path / "cut", {})
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
    listener = Recorded()
    train(ask(tmp_path / "other"), listener, picture=False)
    assert listener.notes == [
        "the run was started on 4 processes and continues on 1; each trains on other parts of the batches, so its "
        "numbers may differ"
    ]
    rows = numbers(tmp_path / "other")
    # The last checkpoint is that of the epoch before the kill. Its decision holds.
    whole = numbers(tmp_path / "whole")
    assert rows[:2] == whole[:2] and rows[2]["decisions"] == whole[2]["decisions"]
    assert rows[2] != whole[2] and len(rows) == 5


def test_a_process_that_fails_ends_the_run_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    with team(2) as two:
        left, ended = two.answers(run, tmp_path, {}, 2, 1)
    assert isinstance(ended.error, EOFError) and isinstance(left.error, ProcessError)
    assert "if another of the 2 processes has ended" in str(left.error)
    folder = RunFolder(tmp_path)
    newest = folder.checkpoints()[0]
    state = folder.load_checkpoint(newest)
    assert state is not None and state["epoch"] == 1
    train(ask(tmp_path), Silent(), picture=False)
    assert len(folder.read_rows()) == 5


def test_errors_are_those_of_all(four: Team, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    for answer in four.answers(run, tmp_path / "other", {}):
        assert isinstance(answer.error, InputError) and "must be new, empty or hold a run" in str(
            answer.error
        )
    for answer in four.answers(run, tmp_path / "hot", {"method": "sgd-constant", "lr": 1e30}):
        assert isinstance(answer.error, Diverged), answer


def test_parts_make_up_the_batch() -> None:
    batches = [torch.arange(10), torch.arange(10, 14), torch.arange(14, 17)]
    parts = [Parts(batches, Processes(rank, 2)) for rank in range(2)]
    assert [part.own[0].tolist() for part in parts] == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
    assert [part.own[2].tolist() for part in parts] == [[14, 15, 16]] * 2
    assert all(sum(part.share(number) for part in parts) == 1 for number in range(3))
    weights = torch.randn(17, generator=torch.Generator().manual_seed(0))
    for number, batch in enumerate(batches):
        averaged = sum(part.weighted(weights[part.own[number]].mean(), number) for part in parts) / 2
        torch.testing.assert_close(averaged, weights[batch].mean())


def command(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*torchrun, "-m", "infopace", *arguments, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_torchrun_starts_a_run(tmp_path: Path) -> None:
    chosen = ("train", f"{OWN}:MINE", "--bounds", "workload", "--epochs", "2")
    done = command(tmp_path / "run", *chosen)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder: ") == 2  # at the beginning and at the end, and not of each process
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["processes"] == 2 and len(numbers(tmp_path / "run")) == 3


@pytest.mark.slow
def test_torchrun_refuses_other_commands(tmp_path: Path) -> None:
    done = command(tmp_path, "range-test", f"{OWN}:MINE")
    assert done.returncode and "only train runs on several processes, got range-test on 2" in done.stderr


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # of something else
    assert processes_started() == 1
    with joined() as processes:
        assert not processes.several
