"""One trial of a race: candidates train over a short horizon, only around the two rates that are looked for.

A trial needs no full table. It looks for the rate that learns fastest within a horizon of some optimizer steps, and
for the rate from which on learning fails:

1. From the largest rate down, a decade at a time, to the first that learns significantly. Crashes cost a few steps. At
   a very high rate the model may also collapse at once, with a loss just below that of the untrained one.
2. From there up, a quarter of a decade at a time, until one crashes or is significantly worse than the best.
3. From the best down, until one is significantly behind it.
4. Once more between the last good and the first bad rate, to halve the step there.

Rates far below are not trained at all: there a model only moves less far in the same time (see `_race_bounds`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from infopace.range_test._method import Keep
from infopace.range_test._records import (
    Candidate,
    Evaluation,
    Trial,
    merit_limit,
    merit_of,
    significantly_worse,
)
from infopace.range_test._result import RangeTestError
from infopace.range_test._trainee import Crashed, Trainee

PER_DECADE = 4
# An evaluation before this many steps is of no use: momentum has only begun to build up.
_FIRST_RUNG = 4


def rate(index: int | float) -> float:
    """The candidate with this index on the grid of four a decade; 0 is 1.

    >>> [rate(i) for i in (-4, -3, -2, -1, 0)]
    [0.1, 0.178, 0.316, 0.562, 1.0]
    """
    return float(f"{10 ** (index / PER_DECADE):.3g}")


def inside(low: float, high: float) -> tuple[int, int]:
    """The first and the last candidate from `low` to `high`. Both are rounded rates, so that a rate holds itself.

    >>> inside(0.178, 1.0)
    (-3, 0)
    """
    # Rounding moves a rate by less than a hundredth of a step.
    first = math.ceil(PER_DECADE * math.log10(low) - 0.01)
    last = math.floor(PER_DECADE * math.log10(high) + 0.01)
    return first + (rate(first) < low), last - (rate(last) > high)


def rungs(horizon: int) -> tuple[int, ...]:
    """Steps after which candidates are evaluated: the horizon, its half, quarter, ..

    >>> rungs(64)
    (4, 8, 16, 32, 64)
    """
    found = [horizon]
    while found[-1] // 2 >= _FIRST_RUNG:
        found.append(found[-1] // 2)
    return tuple(reversed(found))


def race_trial(
    trainee: Trainee,
    number: int,
    horizon: int,
    attribute: str,
    *,
    low: float,
    high: float,
    rates: Callable[[float], list[float]],
    known: Mapping[float, Candidate],
    keep: Keep,
) -> Trial:
    """One trial.

    Args:
        trainee: What trains.
        number: Of the trial.
        horizon: Optimizer steps of a candidate.
        attribute: "accuracy", "loss" or "information": what candidates are compared by.
        low, high: The range that is searched.
        rates: The learning rate of each parameter group for a candidate.
        known: The candidates by rate that an interrupted test has finished.
        keep: Called with each new candidate.

    Raises:
        RangeTestError: every candidate crashed, down to `low`; or the model did before training.
    """
    trainee.begin(number)
    race = _Race(trainee, rungs(horizon), attribute, rates, known, keep)
    bottom, top = inside(low, high)
    start = top
    while not race.learns(start):
        if start == bottom and not race.done[start].crash:
            break  # the rule for bounds reports that nothing learned
        if start == bottom:
            raise RangeTestError(
                "crashed",
                f"every candidate from {rate(top):g} down to {rate(bottom):g} crashed "
                f"({race.done[bottom].crash}); lower `low` = {low:g} or check the loss",
            )
        start = max(start - PER_DECADE, bottom)
    best = start
    for index in range(start + 1, top + 1):
        found = race.run(index)
        if found.crash:
            break
        if race.merit(index) > race.merit(best):
            best = index
        elif race.worse(index, best):
            break
    for index in range(best - 1, bottom - 1, -1):
        found = race.run(index)
        if not found.crash and race.merit(index) > race.merit(best):
            best = index
        elif found.crash or race.behind(index, best):
            break
    good = max((i for i, c in race.done.items() if not (c.crash or race.worse(i, best))), default=best)
    if good + 1 in race.done:
        race.run(good + 0.5)
    return Trial(number, tuple(race.done.values()))


class _Race:
    """The candidates of a trial by their index, each run once."""

    def __init__(
        self,
        trainee: Trainee,
        rungs: tuple[int, ...],
        attribute: str,
        rates: Callable[[float], list[float]],
        known: Mapping[float, Candidate],
        keep: Keep,
    ) -> None:
        self.done: dict[int | float, Candidate] = {}
        self._trainee, self._rungs, self._attribute, self._rates = trainee, rungs, attribute, rates
        self._known, self._keep = known, keep
        self._untrained: Evaluation | None = None

    def run(self, index: int | float) -> Candidate:
        """The candidate, trained if it is not known."""
        if index not in self.done:
            candidate = self._known.get(rate(index))
            if candidate is None:
                candidate = self._train(rate(index))
                self._keep(candidate)
            self._untrained = candidate.first
            self.done[index] = candidate
        return self.done[index]

    def merit(self, index: int | float) -> float:
        candidate = self.done[index]
        return merit_of(candidate.last, candidate.first, self._attribute)

    def learns(self, index: int | float) -> bool:
        """Whether the candidate, trained if it is not known, ends significantly better than the untrained model."""
        found = self.run(index)
        return not found.crash and significantly_worse(found.first, found.last, found.first, self._attribute)

    def worse(self, index: int | float, best: int | float) -> bool:
        found = self.done[index]
        return significantly_worse(found.last, self.done[best].last, found.first, self._attribute)

    def behind(self, index: int | float, best: int | float) -> bool:
        found = self.done[index]
        limit = merit_limit(found.last, self.done[best].last, found.first, self._attribute)
        return self.merit(index) < limit

    def _train(self, lr: float) -> Candidate:
        began = time.perf_counter()
        trainee = self._trainee
        trainee.start(self._rates(lr))
        by_information = self._attribute == "information"
        found = [trainee.untrained() if self._untrained is None else self._untrained]
        crash = ""
        try:
            for rung in self._rungs:
                trainee.train(rung - trainee.step)
                found.append(trainee.evaluate(information=by_information or rung == self._rungs[-1]))
                crash = self._crash(found)
                if crash:
                    break
        except Crashed as error:
            crash = str(error)
        return Candidate(lr, tuple(found), crash, time.perf_counter() - began, trainee.step)

    def _crash(self, found: list[Evaluation]) -> str:
        """Why a candidate crashed: it is worse than untrained. "" where it did not.

        Before the end it must be worse on batches too, as running statistics may not have settled.
        """
        last = found[-1]
        late = last.step == self._rungs[-1]
        worse_on_batches = last.batch_loss >= self._trainee.first_batch_loss
        if last.step >= 4 * _FIRST_RUNG and last.loss >= found[0].loss and (late or worse_on_batches):
            return f"after {last.step} steps the loss is above that of the untrained model"
        return ""
