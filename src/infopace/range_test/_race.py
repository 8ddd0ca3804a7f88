"""The economical test: candidates race over a short horizon, and those that are clearly beaten are stopped.

A trial needs no full table. It looks for the rate that learns fastest within a horizon of some optimizer steps, and
for the rate from which on learning fails, and trains candidates only around these two:

1. From the largest rate down, a decade at a time, to the first that learns visibly. Crashes cost a few steps; a rate
   may also be so high that the model is dead at once, and its loss just not above that of the untrained one.
2. From there up, a quarter of a decade at a time, until one crashes or is visibly worse than the best.
3. From the best down, until one is visibly behind it.
4. Once more between the last good and the first bad rate, to halve the step there.

Rates far below need no training at all: there a model only moves less far in the same time (see `_race_bounds`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from infopace.range_test._records import Candidate, Look, Trial
from infopace.range_test._refusal import RangeTestError
from infopace.range_test._trainee import Crashed, Trainee
from infopace.range_test._values import merit_limit, merit_of, visibly_worse

PER_DECADE = 4
# Looks before this many steps tell nothing: momentum has only begun to build up.
_FIRST_RUNG = 4

Keep = Callable[[Candidate], None]


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
    """Steps after which candidates are looked at: the horizon, its half, quarter, ..

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
    """One trial. `rates` turns a candidate into the rate of each parameter group; `known`, `keep`: as in `paper_trial`.

    Raises:
        RangeTestError: every candidate crashed, down to `low`, or the model did before training.
    """
    trainee.begin(number)
    race = _Race(trainee, rungs(horizon), attribute, rates, known, keep)
    bottom, top = inside(low, high)
    start = top
    while not race.learns(start):
        if start == bottom and not race.done[start].crash:
            break  # the bounds will say that nothing learned
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
        self._untrained: Look | None = None

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
        """Whether the candidate ends visibly better than the untrained model; it is trained if it is not known."""
        found = self.run(index)
        return not found.crash and visibly_worse(found.first, found.last, found.first, self._attribute)

    def worse(self, index: int | float, best: int | float) -> bool:
        found = self.done[index]
        return visibly_worse(found.last, self.done[best].last, found.first, self._attribute)

    def behind(self, index: int | float, best: int | float) -> bool:
        found = self.done[index]
        limit = merit_limit(found.last, self.done[best].last, found.first, self._attribute)
        return self.merit(index) < limit

    def _train(self, lr: float) -> Candidate:
        began = time.perf_counter()
        trainee = self._trainee
        trainee.start(self._rates(lr))
        by_information = self._attribute == "information"
        looks = [trainee.untrained() if self._untrained is None else self._untrained]
        crash = ""
        try:
            for rung in self._rungs:
                trainee.train(rung - trainee.step)
                looks.append(trainee.look(information=by_information or rung == self._rungs[-1]))
                crash = self._crash(looks)
                if crash:
                    break
        except Crashed as error:
            crash = str(error)
        return Candidate(lr, tuple(looks), crash, time.perf_counter() - began, trainee.step)

    def _crash(self, looks: list[Look]) -> str:
        """Worse than untrained: before the end on batches too, as running statistics may not be there yet."""
        look = looks[-1]
        late = look.step == self._rungs[-1]
        worse_on_batches = look.batch_loss >= self._trainee.first_batch_loss
        if look.step >= 4 * _FIRST_RUNG and look.loss >= looks[0].loss and (late or worse_on_batches):
            return f"after {look.step} steps the loss is above that of the untrained model"
        return ""
