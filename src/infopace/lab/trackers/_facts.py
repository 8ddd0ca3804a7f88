"""What a tracker logs of a run: its settings once, and for each epoch numbers by name and one text."""

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
    """A run that starts or resumes.

    Attributes:
        folder: The folder of the run.
        config: Its settings, with the bounds of the range test if one was run.
    """

    folder: Path
    config: dict[str, Any]


@dataclass(frozen=True)
class Epoch:
    """An epoch as trackers log it.

    Attributes:
        number: 0 is the untrained network.
        numbers: By name; a slash groups them. Information and its error in nats.
        text: Phase and reason of each decision, a line a parameter group; empty without decisions.
        seconds: Duration of the epoch.
    """

    number: int
    numbers: dict[str, float]
    text: str
    seconds: float


@runtime_checkable
class Tracker(Protocol):
    """Logs epochs, in order and each once. An exception ends the tracking, not the run."""

    def start(self, start: Start, epochs: list[Epoch]) -> None:
        """The run starts or resumes. `epochs` are finished, and some or all of them may be logged already."""

    def log(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def finish(self) -> None:
        """The run has ended. Send everything that is still waiting."""


def config_of(plan: Plan, n_parameters: int) -> dict[str, Any]:
    """The settings of a run, flat."""
    bounds = {} if plan.bounds is None or plan.baseline is not None else dataclasses.asdict(plan.bounds)
    return {**plan.settings(), **bounds, "parameters": n_parameters}


def epoch_of(row: Row, metric: str) -> Epoch:
    """A row of epochs.jsonl as trackers log it. The row of a baseline has no information."""
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
    """A single rate is "lr" for every method, so that their curves share an axis. Several are named by their group."""
    if len(row["lr"]) == 1:
        return {"lr": row["lr"][0]}
    groups = [d["layer"] for d in row["decisions"]] or range(len(row["lr"]))
    return {f"lr/{group}": lr for group, lr in zip(groups, row["lr"], strict=True)}


def needed(tracker: str, module: str, install: str) -> Any:
    """The module `module`. Raises InputError that says what to install if it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"--track {tracker} needs {tracker}: {install} ({error})") from error
