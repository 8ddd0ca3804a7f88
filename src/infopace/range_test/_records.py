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
    def from_json(content: dict[str, Any]) -> Candidate:
        """What `to_json` gave."""
        looks = tuple(
            Look(
                look["step"],
                _number(look["loss"]),
                tuple(_number(loss) for loss in look["part_losses"]),
                look["accuracy"],
                {name: _number(nats) for name, nats in look["information"].items()},
                _number(look["std_error"]),
                look["rows"],
                _number(look["batch_loss"]),
            )
            for look in content["looks"]
        )
        rest = {name: content[name] for name in ("crash", "seconds", "steps")}
        return Candidate(content["lr"], looks, **rest)


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


def _number(value: float | None) -> float:
    return math.nan if value is None else value
