"""Bounds from the trials of a race, without constants set by hand.

    LR_top   the smallest rate that is not significantly behind the best: of rates that do not differ significantly the
             smaller is the safer, and costs less noise in the long run
    LR_max   between the largest rate that still learns and the smallest from which on learning fails: their
             geometric mean. A rate fails where it crashes or its value is significantly below the best
    LR_min   the smallest rate whose progress within a given number of steps is significant
    epsilon  the standard error of the information at the best rate, relative to that information

A difference is significant where it exceeds 1.96 standard errors of the two values, as the probe is a sample. This
replaces the paper's MAXVAL / C1. The error of the information replaces C2 * median(min ds).

LR_min is found by the clock of gradient flow. Where a rate is small, weights follow the gradient flow, and how far they
get depends only on the time LR * D(steps). D is what steps of rate 1 along a constant gradient add up to (with momentum
beta: v <- beta v + 1 a step). Each candidate up to the best has a time after which its progress becomes significant.
The median of these times gives the rate that needs all the steps for it.

Every trial gives its own bounds. The result is their geometric mean without the smallest and the largest of three or
more; of three trials it is the median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median

from infopace.policies import Bounds
from infopace.range_test._race_trial import PER_DECADE
from infopace.range_test._records import (
    QUANTILE_95,
    Candidate,
    Trial,
    error_of,
    merit_limit,
    merit_of,
    significantly_worse,
    value_of,
)
from infopace.range_test._result import RangeTestError


@dataclass(frozen=True)
class Clock:
    """D(steps): how far steps of rate 1 go along a constant gradient of 1.

    >>> Clock(0.0, False).distance(10)
    10.0
    >>> round(Clock(0.9, False).distance(1000))
    9910
    """

    momentum: float
    nesterov: bool

    def distance(self, steps: int) -> float:
        """D."""
        beta = self.momentum
        if not 0 < beta < 1:
            return float(steps)
        # Sum of the velocities (1 - beta^t) / (1 - beta), t = 1..steps; Nesterov's is one ahead.
        ahead = beta if self.nesterov else 1.0
        return (steps - ahead * beta * (1 - beta**steps) / (1 - beta)) / (1 - beta)


def trial_bounds(
    trial: Trial, attribute: str, steps: int, clock: Clock, *, one_layer: bool = False
) -> Bounds:
    """The bounds of one trial; LR_min for significant progress within `steps`.

    With `one_layer` the trial raced one layer from the shared LR_top upwards, while the others kept it. Then the best
    rate may be the smallest of all, and none may fail; the largest that was tried is then LR_max.

    Raises:
        RangeTestError: nothing learned, or the best rate is the smallest or the largest of all.
    """
    done = {c.lr: c for c in trial.completed}
    best = max(done.values(), key=lambda c: merit_of(c.last, c.first, attribute))
    if not significantly_worse(best.first, best.last, best.first, attribute):
        gained = value_of(best.last, best.first, attribute) - value_of(best.first, best.first, attribute)
        raise RangeTestError(
            "nothing-learned",
            f"trial {trial.number} learned nothing significant: at the best rate, {best.lr:g}, {attribute} gained "
            f"{gained:.3g} within {best.last.step} steps; train longer, or use a larger probe",
        )
    fails = _failing(trial, best, attribute)
    if not fails and not one_layer:
        raise RangeTestError(
            "narrow",
            f"the range is too narrow: the largest candidate, {max(done):g}, still learns as well as the best; "
            "raise `high`",
        )
    if best.lr == min(c.lr for c in trial.candidates) and not one_layer:
        raise RangeTestError(
            "narrow",
            f"the range is too narrow: the best rate, {best.lr:g}, is the smallest candidate; lower `low`",
        )
    good = max(lr for lr in done if not fails or lr < min(fails))
    top = _top(done, best, attribute)
    low = _smallest(done, best, attribute, steps, clock)
    information = best.last.information["output"]
    epsilon = best.last.std_error / information if information > 0 else math.nan
    edge = math.sqrt(good * min(fails, default=good))
    defaults = Bounds(1.0, 1.0)
    return Bounds(
        lr_min=min(low, top),
        lr_max=max(edge, top),
        lr_top=top,
        epsilon=epsilon if math.isfinite(epsilon) and epsilon > 0 else defaults.epsilon,
    )


def mean_bounds(found: list[Bounds]) -> Bounds:
    """The geometric mean of each bound, without the smallest and the largest of three or more.

    Raises:
        RangeTestError: the best rate of most trials is far above where one trial fails.
    """
    low, high, top, epsilon = (
        _trimmed_mean(values)
        for values in (
            [b.lr_min for b in found],
            [b.lr_max for b in found],
            [b.lr_top for b in found],
            [b.epsilon for b in found],
        )
    )
    worst = min(range(len(found)), key=lambda i: found[i].lr_max)
    edge = found[worst].lr_max
    if top > edge * 10 ** (2 / PER_DECADE):
        raise RangeTestError(
            "disagreement",
            f"the trials disagree: the best rate of most, {top:.3g}, is more than two candidates above where trial "
            f"{worst} fails ({edge:.3g}); run more trials or train longer",
        )
    # A run must not start at a rate that fails in one trial.
    top = min(top, edge)
    return Bounds(min(low, top), high, top, epsilon)


def _trimmed_mean(values: list[float]) -> float:
    logs = sorted(map(math.log, values))
    return math.exp(fmean(logs[1:-1] if len(logs) > 2 else logs))


def _failing(trial: Trial, best: Candidate, attribute: str) -> list[float]:
    """The rates above the best that fail, as have all larger ones that were tried."""
    found: list[float] = []
    for c in sorted(trial.candidates, key=lambda c: -c.lr):
        if c.lr <= best.lr:
            break
        if not (c.crash or significantly_worse(c.last, best.last, c.first, attribute)):
            break
        found.append(c.lr)
    return found


def _top(done: dict[float, Candidate], best: Candidate, attribute: str) -> float:
    """Where, from the best rate down, the merit falls significantly behind, interpolated over log LR."""

    def merit(c: Candidate) -> float:
        return merit_of(c.last, c.first, attribute)

    above = best
    for c in sorted((c for c in done.values() if c.lr < best.lr), key=lambda c: -c.lr):
        limit = merit_limit(c.last, best.last, c.first, attribute)
        if merit(c) < limit:
            share = (merit(above) - limit) / (merit(above) - merit(c)) if merit(above) > limit else 0.0
            return above.lr * (c.lr / above.lr) ** share
        above = c
    return above.lr


def _smallest(
    done: dict[float, Candidate], best: Candidate, attribute: str, steps: int, clock: Clock
) -> float:
    """The rate whose gradient-flow time after `steps` is that after which progress is significant."""
    times = []
    for c in done.values():
        if c.lr > best.lr:
            continue
        start = value_of(c.first, c.first, attribute)
        noise = error_of(c.first, attribute)
        past = (0.0, 0.0)
        for later in c.evaluations[1:]:
            if attribute == "information" and not later.information:
                continue
            gain = value_of(later, c.first, attribute) - start
            need = QUANTILE_95 * math.hypot(noise, error_of(later, attribute))
            now = (c.lr * clock.distance(later.step), gain / need if need > 0 else math.inf)
            if now[1] >= 1:
                share = (1 - past[1]) / (now[1] - past[1]) if math.isfinite(now[1]) else 1.0
                times.append(past[0] + share * (now[0] - past[0]))
                break
            past = now if now[1] > 0 else (now[0], 0.0)
    return median(times) / clock.distance(steps) if times else best.lr
