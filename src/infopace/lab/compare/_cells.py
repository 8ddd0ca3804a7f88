"""The runs of a comparison: which there are, the folder of each, and how each ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infopace.lab.compare._config import FREE_LIMIT, ComparePlan, Entry
from infopace.lab.config import TrainConfig
from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.identity import differing
from infopace.lab.run_folder import RunFolder, sound_rows
from infopace.lab.tasks import Metric

Bounds = dict[str, float]
_DIVERGED = "diverged.json"


@dataclass(frozen=True)
class Cell:
    """One run: a method, its learning rate (None: it has none to choose) and a seed."""

    entry: Entry
    lr: float | None
    seed: int

    @property
    def name(self) -> str:
        """The name of the method in the comparison."""
        return self.entry.name

    @property
    def title(self) -> str:
        """For people: 'sgd-cosine lr 0.1 seed 3'."""
        rate = "" if self.lr is None else f" lr {_exact(self.lr)}"
        return f"{self.name}{rate} seed {self.seed}"

    def folder(self, comparison: Path) -> Path:
        """The folder of the run. It names the epochs of an -as-ours run, which more seeds may change."""
        epochs = "" if self.entry.epochs is None else f"-{self.entry.epochs}-epochs"
        rate = "" if self.lr is None else f"-lr{_exact(self.lr)}"
        return comparison / "runs" / f"{self.name}{epochs}{rate}-seed{self.seed}"

    def epochs(self, plan: ComparePlan) -> int:
        """How many epochs it has, or at most has."""
        return self.entry.epochs or plan.epochs * (FREE_LIMIT if self.entry.free else 1)

    def command(self, plan: ComparePlan, device: str, bounds: Bounds) -> TrainConfig:
        """The `infopace train` of the run. `bounds` are those of a paced method; {} stands for the workload's own."""
        return TrainConfig(
            workload=plan.spec,
            method=self.entry.method,
            optimizer=plan.optimizer.name if self.entry.takes_the_optimizer else None,
            signal="auto" if self.entry.baseline is not None else plan.signal,
            every=None if self.entry.baseline is not None else plan.every,
            horizon="free" if self.entry.free else "known",
            lr=self.lr,
            bounds="workload" if self.entry.tested and not bounds else "auto",
            lr_min=bounds.get("lr_min"),
            lr_max=bounds.get("lr_max"),
            lr_top=bounds.get("lr_top"),
            epsilon=bounds.get("epsilon"),
            layer_wise=self.entry.layer_wise,
            held_out=None if self.entry.held_out else 0.0,
            epochs=self.epochs(plan),
            seed=self.seed,
            device=device,
            threads=1,
            out=self.folder(plan.folder),
        )


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the test metric after every epoch, or why there is none.

    Attributes:
        cell: The run.
        test: The test metric after epochs 1, 2, .. A run that diverged has those before it did.
        seconds: Duration of each of these epochs, with evaluation and measurement.
        failure: Why it did not finish; empty if it did.
        lost: It failed, but did not diverge: its machine or its code ended it. The next command runs it again.
        verified: Its data, code and recipe are known to be the comparison's. Some rows record none of them.
    """

    cell: Cell
    test: tuple[float, ...]
    seconds: tuple[float, ...]
    failure: str = ""
    lost: bool = False
    verified: bool = True

    @property
    def final(self) -> float | None:
        """The test metric at the end, None for a run that failed."""
        return None if self.failure else self.test[-1]

    def row(self, metric: Metric) -> dict[str, Any]:
        """The run as a row of results. Its curves are rounded, or the file would have megabytes."""
        best = metric.best(list(self.test)) if self.test else None
        return {
            "method": self.cell.name,
            "lr": self.cell.lr,
            "seed": self.cell.seed,
            **({} if self.cell.entry.epochs is None else {"run_epochs": self.cell.entry.epochs}),
            "final": self.final,
            "best": None if best is None else self.test[best],
            "best_epoch": None if best is None else best + 1,
            "ended": "incomplete" if self.lost else "diverged" if self.failure else "finished",
            "failure": self.failure,
            "test": [_rounded(value, metric) for value in self.test],
            "seconds": [round(value, 3) for value in self.seconds],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Outcome:
        """The outcome of a row. Of its method only the name is known.

        Raises KeyError, TypeError or IndexError for a row that holds no outcome.
        """
        name = row["method"]
        entry = Entry(name, name, False, False, False, None, epochs=row.get("run_epochs"))
        cell = Cell(entry, row["lr"], row["seed"])
        test = list(row["test"])
        # The curve is rounded; these two values are exact.
        if row["best"] is not None:
            test[row["best_epoch"] - 1] = row["best"]
        if row["final"] is not None:
            test[-1] = row["final"]
        lost, verified = row.get("ended") == "incomplete", "inputs" in row
        return cls(cell, tuple(test), tuple(row["seconds"]), row["failure"], lost, verified)


def _exact(rate: float) -> str:
    """A learning rate as short as it can be without becoming another one."""
    return f"{rate:g}" if float(f"{rate:g}") == rate else repr(rate)


def _rounded(value: float, metric: Metric) -> float:
    """To five decimals, and never to a better value, so that the best epoch of the curve stays the same."""
    near, sign = round(value, 5), 1 if metric.higher_is_better else -1
    return near if sign * near <= sign * value else round(near - sign * 1e-5, 5)


def final_cells(entry: Entry, lr: float | None, plan: ComparePlan) -> list[Cell]:
    """The runs whose results are in the table."""
    return [Cell(entry, lr, seed) for seed in plan.seeds]


def keep_divergence(folder: Path, message: str) -> None:
    """Record that a run diverged. It would diverge again, so it is not repeated."""
    write_atomically(folder / _DIVERGED, f"{json.dumps({'failure': message})}\n".encode())


def outcome(cell: Cell, comparison: Path, inputs: Mapping[str, Any]) -> Outcome | None:
    """How the run ended. None where it has not ended or its files are damaged; it is then run again.

    Raises InputError where the folder holds a run of another comparison.
    """
    folder = RunFolder(cell.folder(comparison))
    diverged, summary = folder.read_json(_DIVERGED), folder.read_json("summary.json")
    failure = None if diverged is None else diverged.get("failure")
    if not isinstance(failure, str) and summary is None:
        return None
    _check_inputs(folder, inputs)
    rows = sound_rows(folder.read_rows())[1:]
    if not isinstance(failure, str):
        if not rows or summary is None or summary.get("epochs") != len(rows):
            return None
        failure = ""
    test = tuple(row["test"] for row in rows)
    return Outcome(cell, test, tuple(sum(row["seconds"].values()) for row in rows), failure)


def _check_inputs(folder: RunFolder, inputs: Mapping[str, Any]) -> None:
    record = folder.read_json("run.json") or {}
    settings = record.get("settings")
    there = {**(settings if isinstance(settings, dict) else {}), "data": record.get("data")}
    shared = [name for name in inputs if name in there]
    if differences := differing({n: inputs[n] for n in shared}, {n: there[n] for n in shared}):
        raise InputError(
            f"{folder.path} is a run of another comparison: {differences}; remove it or choose another --out"
        )
