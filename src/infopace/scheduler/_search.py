"""Which learning rate to try next, and which is the best: the search for the rate that a run begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

# Rates lie on a grid of so many a decade around the first one.
_A_DECADE = 4
# Neighbours of the best are tried first so many places away, twice that while what is learned grows steeply.
STRIDE = 2
# What counts as significant: the two-sided 95 % quantile of the normal distribution.
_Z = 1.96
# The same for one of about ten trials: Bonferroni's correction gives 2.8.
_SURE = 3.0
# Sums of the same values differ by less, in nats.
_ROUNDING = 1e-9
# A random network has no information of so many errors.
_MUCH = 10
# The share of the best information that is left where a network has not collapsed.
_LEFT = 0.5
# While what is learned grows by so much from decade to decade, the best rate is far. It would be ten where each step
# improves the network in proportion to its rate. [measured] On small tasks two to ten find the same.
_STEEP = 5.0
# No rate is tried further away from the first than so many decades.
_FARTHEST = 5


@dataclass(frozen=True)
class Trial:
    """What some steps at one learning rate gave, from the weights that the search began with.

    Attributes:
        place: The rate is first * 10^(place / 4).
        nats: Information in nats after the steps; -inf where the network diverged.
        each: (n,) what each example of the probe contributes to it; None where the network diverged.
        before: (n,) the same of the network that the trial began with; None: it knew nothing.
    """

    place: int
    nats: float
    each: Tensor | None = field(default=None, compare=False, repr=False)
    before: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def found(self) -> str:
        """In words."""
        return "diverged" if self.each is None else f"{self.nats:.3g} nats"

    @property
    def gain(self) -> float:
        """Information beyond that of the network that the trial began with, in nats."""
        return self.nats - (0.0 if self.before is None else float(self.before.double().mean()))

    @property
    def learned(self) -> bool:
        """Whether the network predicts significantly more than the frequencies of the targets, and than before.

        Outputs of a random network say a little about the targets, significantly so, and learning need not begin with
        them. A constant prediction has no error by the examples. Its information is 0 but for 1 / n nats: see
        `usable_information`.
        """
        return self._knows_more(_SURE)

    @property
    def begins_to_learn(self) -> bool:
        """The same where this is the only trial."""
        return self._knows_more(_Z)

    def _knows_more(self, errors: float) -> bool:
        if self.each is None:
            return False
        gain = self.each if self.before is None else self.each - self.before
        return all(float(v.double().mean()) > max(errors * _error(v), 1 / len(v)) for v in (self.each, gain))

    def beats(self, other: Trial) -> bool:
        """Whether there is significantly more information than after another trial, example by example."""
        if self.each is None or other.each is None:
            return self.each is not None
        more = (self.each - other.each).double()
        return float(more.mean()) > _Z * _error(more)

    def collapsed(self, other: Trial) -> bool:
        """Whether there is significantly less than half of the information after another trial."""
        if self.each is None or other.each is None:
            return self.each is None
        less = _LEFT * other.each.double() - self.each.double()
        return float(less.mean()) > _Z * _error(less)

    @property
    def harmed(self) -> bool:
        """Whether it diverged, knows significantly less than before, or than the frequencies.

        What the network knew before counts where that is more than a random network can know: ten errors.
        """
        if self.each is None:
            return True
        known = 0.0 if self.before is None else float(self.before.double().mean())
        if self.before is not None and known > _MUCH * _error(self.before):
            return Trial(self.place, known, self.before).beats(self)
        return self.nats < min(known, 0.0) - _Z * _error(self.each)


def rate_of(first: float, place: int) -> float:
    """The rate at a place of the grid."""
    return first * 10 ** (place / _A_DECADE)


def next_place(trials: Sequence[Trial], short: bool = False) -> int | None:
    """Where to try next; None: the best rate is known to a factor of 1.8, in short trials of 3.2.

    While nothing has been learned, whole decades above and below the first rate come next. Then the search climbs by
    half a decade, or by a decade while what is learned grows steeply, until the rates beside the best are worse. Short
    trials end there. Long ones then try the nearer neighbours of the best, and whether a rate half a decade above it
    collapses.
    """
    if not trials:
        return 0
    tried = {trial.place for trial in trials}
    top = best(trials)
    if not top.learned:
        return _next_in_the_dark(trials)
    for stride in (2 * STRIDE, STRIDE, 1)[: 2 if short else 3]:
        # Upwards first: a rate that is too high shows at once, one that is too low only looks slow.
        for sign in (1, -1):
            place = top.place + sign * stride
            between = range(min(place, top.place) + 1, max(place, top.place))
            passed = any(p in tried for p in between)
            if stride > STRIDE and not _steep(top, trials, sign):
                continue
            if place not in tried and not passed and abs(place) <= _FARTHEST * _A_DECADE:
                return place
    # `chosen` asks for half a decade above the best.
    above = top.place + STRIDE
    wanted = not short and above not in tried and above <= _FARTHEST * _A_DECADE
    return above if wanted and cliff(trials) != top.place + 1 else None


def _steep(top: Trial, trials: Sequence[Trial], sign: int) -> bool:
    """Whether the best rate is the last one in this direction, and what is learned grows steeply up to it."""
    before = [trial for trial in trials if sign * trial.place < sign * top.place]
    if not before or len(before) < len(trials) - 1:
        return False
    last = max(before, key=lambda trial: sign * trial.place)
    return top.gain >= last.gain * _STEEP ** (abs(top.place - last.place) / _A_DECADE)


def _next_in_the_dark(trials: Sequence[Trial]) -> int | None:
    """Where nothing is learned yet: one and two decades above the first rate, one below, three above and so on.

    A network that a high rate has ruined may look like one that a low rate has not changed. A trial too many where the
    first rate is too high costs less than where it is too low: what ruins a network often shows at once.
    """
    tried = [trial.place for trial in trials]
    ruined = min((trial.place for trial in trials if trial.each is None), default=math.inf)
    for decades in range(1, _FARTHEST + 2):
        for place in (decades * _A_DECADE, (1 - decades) * _A_DECADE):
            if place not in tried and place < ruined and abs(place) <= _FARTHEST * _A_DECADE:
                return place
    return None


def best(trials: Sequence[Trial]) -> Trial:
    """The trial with the most information, the lowest rate of equal ones."""
    return max(trials, key=lambda trial: (trial.nats, -trial.place))


def cliff(trials: Sequence[Trial]) -> int | None:
    """The lowest place above the best trial at which the network collapses; None: at none that was tried."""
    top = best(trials)
    return min(
        (trial.place for trial in trials if trial.place > top.place and trial.collapsed(top)), default=None
    )


def chosen(trials: Sequence[Trial], short: bool = False) -> int:
    """The place to train at.

    Short trials: half a decade below the best, unless what is learned grows steeply over that half decade. A higher
    rate is ahead in a few steps and behind in more: of the rates that such trials find, all that are far from the best
    are too high.

    Long ones: the best, or so far below it that no rate within half a decade above collapses.

    Collapsed is less than half of the best information, as for `RollBack`. Few steps overestimate the best rate by up
    to a factor of three: what a network can bear falls while it learns. Where information falls gently above the best
    rate, that does no harm. Where it falls steeply, as it does for SGD and deep networks, it ruins the network.
    """
    top, edge = best(trials).place, cliff(trials)
    if short:
        known = any(trial.place == top - STRIDE for trial in trials)
        climbs = len(trials) < 2 or (known and _steep(best(trials), trials, 1))
        return top if climbs else top - STRIDE
    return top if edge is None else min(top, edge - STRIDE - 1)


def raised(trials: Sequence[Trial], place: int | None = None) -> int:
    """Where to wait while no trial has learned: at the first rate, and then a quarter of a decade above `place`.

    The rate stays below all that did harm. The steps double each time. To leave a plateau takes a number of steps that
    goes as 1 / rate, so a rate that rises faster would pass those that learn before they have had their steps.

    Args:
        trials: What was tried.
        place: Where it has waited until now.
    """
    ceiling = min((trial.place for trial in trials if trial.harmed), default=_FARTHEST * _A_DECADE + 1)
    wanted = 0 if place is None else place + 1
    if wanted < ceiling:
        return wanted
    return place if place is not None and place < ceiling else ceiling - STRIDE


def _error(values: Tensor) -> float:
    """The standard error of the mean, or what rounding leaves of equal values."""
    if len(values) < 2:
        return math.inf
    return max(float(values.double().std()) / math.sqrt(len(values)), _ROUNDING)
