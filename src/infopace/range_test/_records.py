"""What a range test writes down: evaluations of a model, candidates, trials; and how two evaluations compare."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

ATTRIBUTES = ("accuracy", "loss", "information")
# The two-sided 95 % quantile of the normal distribution. A difference of more standard errors is significant.
QUANTILE_95 = 1.96


@dataclass(frozen=True)
class Evaluation:
    """A model after some optimizer steps at one learning rate, evaluated on the probe in evaluation mode.

    Attributes:
        step: Optimizer steps since the candidate's start; 0 before the first.
        loss: Mean loss over the probe's examples.
        part_losses: The means of ten parts of the examples, of sizes as equal as can be. Their spread gives the error
            of the loss. Part by part it gives the error of a difference of two evaluations on the same examples.
        accuracy: Share of examples classified right; None for continuous targets.
        information: Layer name -> I(T;Y) in nats; empty where it was not measured, otherwise "output" is there.
        std_error: Standard error of the output's information, nats; nan where it was not measured.
        examples: Sample size of the probe.
        batch_loss: Mean training loss of the later half of the batches since the last evaluation; nan at step 0.
    """

    step: int
    loss: float
    part_losses: tuple[float, ...]
    accuracy: float | None
    information: dict[str, float]
    std_error: float
    examples: int
    batch_loss: float = math.nan

    @staticmethod
    def from_json(content: Any) -> Evaluation:
        """Read an object of JSON. Raises ValueError that names what is missing or wrong."""
        fields = of_kind(content, dict, "an evaluation", "an object")
        losses = part(fields, "part_losses", list, "a list")
        nats = part(fields, "information", dict, "an object")
        return Evaluation(
            whole_number(fields, "step"),
            _number_or_nan(fields, "loss"),
            tuple(_number_or_nan({"a part's loss": loss}, "a part's loss") for loss in losses),
            None if fields.get("accuracy") is None else number(fields, "accuracy"),
            {name: _number_or_nan(nats, name) for name in nats},
            _number_or_nan(fields, "std_error"),
            whole_number(fields, "examples"),
            _number_or_nan(fields, "batch_loss"),
        )


@dataclass(frozen=True)
class Candidate:
    """One learning rate, tried from a trial's weights.

    Attributes:
        lr: The learning rate: that of the parameter group with the largest one.
        evaluations: In the order of steps; the first is before training.
        crash: Why it counts as crashed; empty where it does not.
        seconds: Time it took.
        steps: Optimizer steps it took, those after the last evaluation included.
    """

    lr: float
    evaluations: tuple[Evaluation, ...]
    crash: str
    seconds: float
    steps: int

    @property
    def first(self) -> Evaluation:
        """Before training."""
        return self.evaluations[0]

    @property
    def last(self) -> Evaluation:
        """After training."""
        return self.evaluations[-1]

    def smallest_change(self, layer: str = "output") -> float:
        """The smallest relative change of a layer's information, (I[e] - I[e-1]) / I[e], or 1 where I[e] <= 0.

        It is taken over the evaluations that measured the layer; 1 where fewer than two did.
        """
        nats = [e.information[layer] for e in self.evaluations if layer in e.information]
        changes = [(now - before) / now if now > 0 else 1.0 for before, now in pairwise(nats)]
        return min(changes, default=1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and strings. nan, which JSON cannot hold, becomes None."""
        return _plain(dataclasses.asdict(self))

    @staticmethod
    def from_json(content: Any) -> Candidate:
        """Read what `to_json` gave. Raises ValueError that names what is missing or wrong."""
        fields = of_kind(content, dict, "the candidate", "an object")
        evaluations = part(fields, "evaluations", list, "a list")
        if not evaluations:
            raise ValueError("evaluations must not be empty")
        lr = number(fields, "lr")
        if lr <= 0:
            raise ValueError(f"lr must be positive, got {lr}")
        return Candidate(
            lr,
            tuple(map(Evaluation.from_json, evaluations)),
            part(fields, "crash", str, "a text"),
            number(fields, "seconds"),
            whole_number(fields, "steps"),
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


def value_of(found: Evaluation, before: Evaluation, attribute: str, layer: str = "output") -> float:
    """The attribute as a number that grows as the model learns.

    Accuracy and information (nats) are taken as they are. The loss counts by what it has fallen since `before`.

    *Reading*: the paper compares values to a fraction of the best, which has no meaning for a loss itself.
    """
    if attribute == "loss":
        return before.loss - found.loss
    if attribute == "information":
        return found.information[layer]
    return math.nan if found.accuracy is None else found.accuracy


def error_of(found: Evaluation, attribute: str) -> float:
    """Standard error of the attribute: the probe is a sample."""
    if attribute == "loss":
        return _error_of_mean(found.part_losses)
    if attribute == "information":
        return found.std_error
    share = math.nan if found.accuracy is None else found.accuracy
    # One more example of each kind: even a share of 0 or 1 in a sample has an error (Agresti and Coull 1998).
    share = (share * found.examples + 1) / (found.examples + 2)
    return math.sqrt(share * (1 - share) / found.examples)


def significantly_worse(found: Evaluation, best: Evaluation, before: Evaluation, attribute: str) -> bool:
    """Whether a value is below the best at the 95 % level, by the errors of both."""
    error = math.hypot(error_of(found, attribute), error_of(best, attribute))
    return value_of(best, before, attribute) - value_of(found, before, attribute) > QUANTILE_95 * error


def merit_of(found: Evaluation, before: Evaluation, attribute: str) -> float:
    """What decides which of two rates learns better; 0 for a model that learned nothing.

    By information: what was gained, in nats. By accuracy or loss: log(loss before / loss), so that a fall from 0.1 to
    0.05 counts as much as one from 1 to 0.5. The loss separates two rates where a thousand examples give equal
    accuracy. A loss that is not positive is compared as it is.
    """
    if attribute == "information":
        return found.information["output"] - before.information["output"]
    if found.loss > 0 and before.loss > 0:
        return math.log(before.loss / found.loss)
    return before.loss - found.loss


def merit_limit(found: Evaluation, best: Evaluation, before: Evaluation, attribute: str) -> float:
    """The merit below which `found` is significantly behind the best.

    Both losses are of the same examples, which are hard for both. So the error of their difference is taken part by
    part.
    """
    if attribute == "information":
        return merit_of(best, before, attribute) - QUANTILE_95 * math.hypot(found.std_error, best.std_error)
    error = _error_of_mean([a - b for a, b in zip(found.part_losses, best.part_losses, strict=True)])
    limit = best.loss + QUANTILE_95 * error
    if limit > 0 and best.loss > 0 and before.loss > 0:
        return math.log(before.loss / limit)
    return before.loss - limit


def _error_of_mean(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    return statistics.stdev(values) / math.sqrt(len(values))


def of_kind(value: Any, kind: type | tuple[type, ...], what: str, required: str) -> Any:
    """A value of JSON, if it is of this kind. Raises ValueError otherwise."""
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise ValueError(f"{what} must be {required}, got {str(value)[:60]}")
    return value


def part(fields: dict[str, Any], name: str, kind: type | tuple[type, ...], required: str) -> Any:
    """A field of an object of JSON, if it is there and of this kind. Raises ValueError otherwise."""
    if name not in fields:
        raise ValueError(f"{name} is missing")
    return of_kind(fields[name], kind, name, required)


def whole_number(fields: dict[str, Any], name: str) -> int:
    """A field that is a whole number, 0 or more. Raises ValueError otherwise."""
    value = part(fields, name, int, "a whole number")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return value


def number(fields: dict[str, Any], name: str) -> float:
    """A field that is a finite number. Raises ValueError otherwise."""
    value = part(fields, name, (int, float), "a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return value


def _number_or_nan(fields: dict[str, Any], name: str) -> float:
    """A number; None stands for nan."""
    return math.nan if name in fields and fields[name] is None else number(fields, name)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
