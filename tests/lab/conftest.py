"""A workload small enough to train in tests, and what its runs must have in common."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infopace import Bounds
from infopace.lab import run, workloads
from infopace.lab.config import TrainConfig
from infopace.lab.progress import Listener, PlainProgress
from infopace.lab.run import Result, train
from infopace.lab.run_folder import Row, RunFolder
from infopace.lab.tasks import CLASSES
from infopace.lab.workload import Workload

# Its data are those of the workload that other processes load, three overlapping clouds in four dimensions.
three_clouds = workloads.find_workload(f"{Path(__file__).with_name('own.py')}:MINE").load


def small_model() -> nn.Module:
    """One hidden layer, and dropout: it draws random numbers in every batch."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


TINY = Workload(
    name="tiny",
    summary="for tests",
    load=three_clouds,
    build_model=small_model,
    task=CLASSES,
    bounds=Bounds(lr_min=0.001, lr_max=0.2, lr_top=0.1),
    epochs=6,
    batch_size=16,
    probe_size=60,
)


@dataclass
class Tiny:
    """Runs of the tiny workload into a folder of one's choice."""

    monkeypatch: pytest.MonkeyPatch
    workload: Workload = TINY

    def __post_init__(self) -> None:
        self.change()
        # Drawing takes longer than training here; test_picture.py draws.
        self.monkeypatch.setattr(run, "draw_run", lambda record, rows, path: path.write_bytes(b"picture"))

    def change(self, **fields: Any) -> None:
        """From here on the workload has these fields instead."""
        self.workload = dataclasses.replace(self.workload, **fields)
        self.monkeypatch.setitem(workloads.WORKLOADS, "tiny", self.workload)

    def run(
        self, out: Path, listener: Listener | None = None, *, std_error: bool = True, **options: Any
    ) -> Result:
        """Train into `out`, on one thread."""
        listener = listener or PlainProgress([].append)
        options = ({} if "method" in options else {"bounds": "workload"}) | options
        config = TrainConfig(workload="tiny", out=out, threads=1, **options)
        return train(config, listener, std_error=std_error)

    def ending(self, out: Path) -> tuple[list[Row], dict[str, Tensor]]:
        """What must come out the same: every row but its seconds, and the final weights."""
        rows = [json.loads(line) for line in (out / "epochs.jsonl").read_text().splitlines()]
        for row in rows:
            del row["seconds"]
        folder = RunFolder(out)
        state = folder.load_checkpoint(folder.checkpoints()[0])
        assert state is not None, "the last checkpoint is whole"
        assert state["epoch"] == rows[-1]["epoch"]
        return rows, state["model"]

    def assert_same_ending(self, one: Path, other: Path) -> None:
        """Both runs ended with the same numbers, bit for bit."""
        (rows, weights), (other_rows, other_weights) = self.ending(one), self.ending(other)
        assert rows == other_rows
        assert weights.keys() == other_weights.keys()
        assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The tiny workload, known to the command line during the test."""
    return Tiny(monkeypatch)


class Stopped(Exception):
    """What stands for a kill in tests that stay in one process."""


class StopAt(PlainProgress):
    """A listener that ends the run after a given epoch, and keeps what was reported to it."""

    def __init__(self, epoch: int | None = None) -> None:
        self.heard: list[str] = []
        super().__init__(self.heard.append)
        self._stop = epoch

    def epoch(self, row: Row) -> None:
        super().epoch(row)
        if row["epoch"] == self._stop:
            raise Stopped

    @property
    def notes(self) -> list[str]:
        """The lines out of the ordinary."""
        return [line for line in self.heard if line.startswith("note: ")]


@pytest.fixture
def stop_at() -> type[StopAt]:
    """The listener that stops a run."""
    return StopAt


@pytest.fixture
def stopped() -> type[Stopped]:
    """The exception that a stopped run ends with."""
    return Stopped
