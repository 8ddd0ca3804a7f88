"""Runs that find their learning rate, on members of the scoreboard's suite and on other workloads, as rows."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from infopace import Policy
from infopace.lab import run as lab_run
from infopace.lab.config import DEFAULT, TrainConfig
from infopace.lab.errors import Diverged, InputError
from infopace.lab.progress import Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from infopace.lab.scoreboard import find_suite
from infopace.lab.training import Training
from infopace.scheduler._search import rate_of
from studies.shared.rows import RESULTS

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A workload over an optimizer, run as on the scoreboard; with None as `infopace train WORKLOAD` does."""

    workload: str
    optimizer: str | None = None

    @property
    def name(self) -> str:
        """For tables and rows."""
        return self.workload if self.optimizer is None else f"{self.workload}, {self.optimizer}"

    def command(self, seed: int, **choices: Any) -> TrainConfig:
        """The `infopace train` of a run, with these choices."""
        if self.optimizer is None:
            return TrainConfig(self.workload, seed=seed, threads=1, **choices)
        member = next(one for one in find_suite("tuning-free").members if one.spec == self.workload)
        return TrainConfig(
            self.workload,
            method=DEFAULT,
            optimizer=self.optimizer,
            signal="usable",
            bounds="run",
            validation=member.validation,
            epochs=member.epochs,
            seed=seed,
            threads=1,
            **choices,
        )


# Those that the rule was developed on.
DEVELOPED = tuple(
    Case(workload, "adamw")
    for workload in ("noisy-mlp", "california-housing", "clinc150", "tinyshakespeare", "deep-mlp")
)


class EvaluatedLast(Training):
    """A run that is evaluated while it searches for its rate, and at its end. That changes no other number."""

    _epoch = 0

    def run_epoch(self, epoch: int, on_batch: Callable[[int, int], None]) -> Row:
        self._epoch = epoch
        return super().run_epoch(epoch, on_batch)

    def _evaluated(self) -> dict[str, float]:
        if self.steps.finding or self.steps.finished or self._epoch == self.plan.epochs:
            return {**super()._evaluated(), "evaluated": self._epoch}
        return {"test": 0.0, "validation": 0.0, "evaluated": 0}


def run(command: TrainConfig, policy: Policy | None = None) -> Row:
    """One run: how it ended, which rate it found, and when the rate moved and why."""
    with tempfile.TemporaryDirectory() as folder:
        out, failure = Path(folder) / "run", ""
        command = dataclasses.replace(command, out=out)
        try:
            with mock.patch.object(lab_run, "Training", EvaluatedLast):
                train(command, Silent(), picture=False, std_error=False, policy=policy)
        except (Diverged, InputError) as error:
            failure = str(error).partition(";")[0]
        rows = RunFolder(out).read_rows()[1:]
        search = search_of(out)
    return {
        "failure": failure,
        "final": None if failure else final_of(rows),
        "epochs": len(rows),
        "steps": sum(row["batches"] for row in rows),
        "moves": moves(rows),
        "nats": [round(row["information"]["output"]["nats"], 3) for row in rows],
        "held_out": [round(row["held_out"]["output"], 3) for row in rows if "held_out" in row],
        "trials": [[one["place"], round(one["nats"], 4)] for one in search.get("trials", ())],
        "looks": search.get("looks", []),
        "rate": float(f"{rate_of(search['first'], search['place']):.4g}") if search else None,
        "seconds": round(sum(sum(row["seconds"].values()) for row in rows), 2),
    }


def search_of(folder: Path) -> dict[str, Any]:
    """The state of the search for the rate at the end of a run; empty where no epoch was kept."""
    kept = sorted(folder.glob("epoch-*.pt"))
    return torch.load(kept[-1], weights_only=False)["scheduler"]["finding"] if kept else {}


def final_of(rows: list[Row]) -> float:
    """The test value at the end."""
    assert rows[-1]["evaluated"] == rows[-1]["epoch"], "the last epoch is evaluated"
    return round(rows[-1]["test"], 6)


def moves(rows: list[Row]) -> list[list[Any]]:
    """[epoch, rate, phase, reason] of each epoch in which a hold or a decay begins."""
    decided = [(row["epoch"], row["decisions"][0]) for row in rows if row["decisions"]]
    found = []
    for before, (epoch, one) in itertools.pairwise([None, *decided]):  # pyright: ignore[reportGeneralTypeIssues]
        reason = str(one["reason"])
        same = before is not None and before[1]["phase"] == one["phase"]
        if not same or "back to" in reason or "from here" in reason:
            found.append([epoch, one["lr"], one["phase"], reason])
    return found


def append(name: str, row: Row) -> None:
    """Append a row to results/NAME.jsonl, and say how the run ended."""
    with open(RESULTS / f"{name}.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    print({k: row[k] for k in row if not isinstance(row[k], list)}, flush=True)
