"""Trials -> one row a learning rate: what the rules decide on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from infopace.range_test._records import Look, Trial


@dataclass(frozen=True)
class Row:
    """What the trials that completed a learning rate found there, averaged.

    Attributes:
        lr: The learning rate.
        min_ds: Smallest relative change of information from one look to the next.
        initial_loss, final_loss: Before training, after it.
        initial_accuracy, final_accuracy: None for continuous targets.
        initial_information, final_information: Nats, of the layer that the table is about.
        trials: How many trials completed this rate.
        crashes: How many crashed at it.
    """

    lr: float
    min_ds: float
    initial_loss: float
    final_loss: float
    initial_accuracy: float | None
    final_accuracy: float | None
    initial_information: float
    final_information: float
    trials: int
    crashes: int


def table(trials: Sequence[Trial], layer: str = "output") -> tuple[Row, ...]:
    """The rows of all rates that a trial completed, ascending."""
    rates = sorted({candidate.lr for trial in trials for candidate in trial.completed})
    return tuple(_row(lr, trials, layer) for lr in rates)


def relative_changes(looks: Sequence[Look], layer: str) -> list[float]:
    """ds of the policies: (I[e] - I[e-1]) / I[e] between looks that measured it, 1 where I[e] <= 0."""
    nats = [look.information[layer] for look in looks if layer in look.information]
    return [(now - before) / now if now > 0 else 1.0 for before, now in pairwise(nats)]


def _row(lr: float, trials: Sequence[Trial], layer: str) -> Row:
    done = [c for trial in trials for c in trial.completed if c.lr == lr]
    return Row(
        lr,
        fmean(min(relative_changes(c.looks, layer), default=1.0) for c in done),
        fmean(c.first.loss for c in done),
        fmean(c.last.loss for c in done),
        _mean_accuracy([c.first for c in done]),
        _mean_accuracy([c.last for c in done]),
        fmean(c.first.information[layer] for c in done),
        fmean(c.last.information[layer] for c in done),
        len(done),
        sum(c.lr == lr for trial in trials for c in trial.crashed),
    )


def _mean_accuracy(looks: Sequence[Look]) -> float | None:
    values = [look.accuracy for look in looks if look.accuracy is not None]
    return fmean(values) if values else None
