"""What a range test writes down: looks at a model, candidates, trials. Plain data, to JSON and back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Look:
    """A model after some optimizer steps at one learning rate, seen on the probe in evaluation mode.

    Attributes:
        step: Optimizer steps since the candidate's start; 0 before the first.
        loss: Mean loss over the probe's rows.
        part_losses: The means of ten parts of the rows, as nearly equal as can be: their spread tells the loss's error,
            and, part by part, that of a difference of two looks at the same rows.
        accuracy: Share of rows classified right; None for continuous targets.
        information: Layer name -> I(T;Y) in nats; empty where it was not measured, otherwise "output" is there.
        std_error: Standard error of the output's information, nats; nan where it was not measured.
        rows: Rows of the probe.
        batch_loss: Mean training loss of the later half of the batches since the look before; nan at step 0.
    """

    step: int
    loss: float
    part_losses: tuple[float, ...]
    accuracy: float | None
    information: dict[str, float]
    std_error: float
    rows: int
    batch_loss: float = math.nan


@dataclass(frozen=True)
class Candidate:
    """One learning rate tried from a trial's weights.

    Attributes:
        lr: The learning rate.
        looks: Looks in the order of steps; the first before training.
        crash: Why it counts as crashed; empty where it does not.
        seconds: Time it took.
        steps: Optimizer steps it took, those after the last look too.
    """

    lr: float
    looks: tuple[Look, ...]
    crash: str
    seconds: float
    steps: int

    @property
    def first(self) -> Look:
        """Before training."""
        return self.looks[0]

    @property
    def last(self) -> Look:
        """After training."""
        return self.looks[-1]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and strings; nan, which JSON has no word for, becomes None."""
        return _plain(dataclasses.asdict(self))

    @staticmethod
    def from_json(content: Any) -> Candidate:
        """What `to_json` gave. ValueError that says what is missing or another thing than it must be."""
        row = _of_kind(content, dict, "the candidate", "an object")
        looks = _part(row, "looks", list, "a list")
        if not looks:
            raise ValueError("looks must not be empty")
        return Candidate(
            _positive(row, "lr"),
            tuple(_look(look) for look in looks),
            _part(row, "crash", str, "a text"),
            _real(row, "seconds"),
            _count(row, "steps"),
        )


@dataclass(frozen=True)
class Trial:
    """All candidates of one set of fresh weights, in the order in which they ran."""

    number: int
    candidates: tuple[Candidate, ...]

    @property
    def completed(self) -> tuple[Candidate, ...]:
        """The candidates that trained to their end, by learning rate."""
        return tuple(sorted((c for c in self.candidates if not c.crash), key=lambda c: c.lr))

    @property
    def crashed(self) -> tuple[Candidate, ...]:
        """The candidates that crashed, by learning rate."""
        return tuple(sorted((c for c in self.candidates if c.crash), key=lambda c: c.lr))

    @property
    def steps(self) -> int:
        """Optimizer steps of all candidates."""
        return sum(candidate.steps for candidate in self.candidates)

    @property
    def seconds(self) -> float:
        """Time of all candidates."""
        return math.fsum(candidate.seconds for candidate in self.candidates)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _look(content: Any) -> Look:
    row = _of_kind(content, dict, "a look", "an object")
    losses = _part(row, "part_losses", list, "a list")
    nats = _part(row, "information", dict, "an object")
    return Look(
        _count(row, "step"),
        _real_or_nan(row, "loss"),
        tuple(_real_or_nan({"a part's loss": loss}, "a part's loss") for loss in losses),
        None if row.get("accuracy") is None else _real(row, "accuracy"),
        {name: _real_or_nan(nats, name) for name in nats},
        _real_or_nan(row, "std_error"),
        _count(row, "rows"),
        _real_or_nan(row, "batch_loss"),
    )


def _of_kind(value: Any, kind: type | tuple[type, ...], what: str, required: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{what} must be {required}, got {str(value)[:60]}")
    return value


def _part(row: dict[str, Any], name: str, kind: type | tuple[type, ...], required: str) -> Any:
    if name not in row:
        raise ValueError(f"{name} is missing")
    return _of_kind(row[name], kind, name, required)


def _count(row: dict[str, Any], name: str) -> int:
    count = _part(row, name, int, "a whole number")
    if count < 0:
        raise ValueError(f"{name} must not be negative, got {count}")
    return count


def _real(row: dict[str, Any], name: str) -> float:
    value = _part(row, name, (int, float), "a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return value


def _positive(row: dict[str, Any], name: str) -> float:
    value = _real(row, name)
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return value


def _real_or_nan(row: dict[str, Any], name: str) -> float:
    """A number; None stands for nan."""
    return math.nan if name in row and row[name] is None else _real(row, name)
