"""What a tracker is told of a run: its settings once, and of each epoch numbers by name and one text."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from infopace.lab.config import Plan
from infopace.lab.errors import InputError
from infopace.lab.run_folder import Row


@dataclass(frozen=True)
class Start:
    """A run that begins or goes on.

    Attributes:
        folder: Of the run.
        config: Its settings, with the bounds that a range test found in their place.
    """

    folder: Path
    config: dict[str, Any]


@dataclass(frozen=True)
class Epoch:
    """An epoch as trackers log it.

    Attributes:
        number: 0 is the untrained network.
        numbers: By name; a slash groups them. Information and its error in nats.
        text: Cause and reason of each decision, a line a parameter group; empty where there is none.
        seconds: What the epoch took.
    """

    number: int
    numbers: dict[str, float]
    text: str
    seconds: float


@runtime_checkable
class Tracker(Protocol):
    """Takes up epochs, in order and each once. Whatever it raises ends the tracking and not the run."""

    def start(self, start: Start, epochs: list[Epoch]) -> None:
        """The run begins or goes on; `epochs` are behind it, and some or all of them may be logged already."""

    def log(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def finish(self) -> None:
        """Nothing more will come; hand over everything that is still on its way."""


def config_of(plan: Plan, n_parameters: int) -> dict[str, Any]:
    """The settings of a run, flat."""
    bounds = {} if plan.baseline is not None else dataclasses.asdict(plan.bounds)
    return {**plan.settings(), **bounds, "parameters": n_parameters}


def epoch_of(row: Row, metric: str) -> Epoch:
    """A row of epochs.jsonl as trackers log it. Without information, as of a baseline, it has none here either."""
    numbers: dict[str, float | None] = {"train_loss": row["train_loss"], f"test_{metric}": row["test"]}
    numbers |= _rates(row)
    for layer, found in row["information"].items():
        numbers[f"information/{layer}"] = found["nats"]
        numbers[f"information_error/{layer}"] = found["std_error"]
    numbers |= {f"information_held_out/{layer}": nats for layer, nats in row.get("held_out", {}).items()}
    numbers["information_reference"] = row["reference"]
    numbers |= {f"seconds/{what}": spent for what, spent in row["seconds"].items()}
    return Epoch(
        row["epoch"],
        {name: float(value) for name, value in numbers.items() if value is not None},
        "\n".join(f"{d['layer']}: {d['phase']}: {d['reason']}" for d in row["decisions"]),
        sum(row["seconds"].values()),
    )


def _rates(row: Row) -> dict[str, float | None]:
    """One rate is "lr" for every method, so that their curves share an axis; of several, each by its group."""
    if len(row["lr"]) == 1:
        return {"lr": row["lr"][0]}
    groups = [d["layer"] for d in row["decisions"]] or range(len(row["lr"]))
    return {f"lr/{group}": lr for group, lr in zip(groups, row["lr"], strict=True)}


def needed(tracker: str, module: str, install: str) -> Any:
    """The module `module`. Raises InputError that says what to install where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"--track {tracker} needs the package {tracker}: {install} ({error})") from error
