"""Our own rule: hold while information still rises beyond the noise of its estimate, then anneal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from infopace._checks import whole
from infopace.policies._bounds import Bounds
from infopace.policies._held_out import HeldOut
from infopace.policies._policy import Decision, check_history

# The two-sided 95 % quantile of the normal: what counts as visible, as in the range test.
_VISIBLE = 1.96
# Of the hold, where a rise is looked for; of the epochs, where E is known, the most that a hold takes; between LR_top
# and LR_max, on a log scale, the rate that is held. studies/rule_constants/run.py moves each of the four.
_WINDOW, _LONGEST, _MIDDLE = 0.5, 0.5, 0.5
# Of LR_top, what is held after information has fallen there too, and again of that.
_LOWERED = 0.5
# A line through three values has one degree of freedom left, and the scatter around it says nothing.
_FEWEST = 4
# Where held-out rows end the hold only the rise counts, and every epoch too many is one more of memorizing.
_FEWEST_HELD_OUT = 3


@dataclass(frozen=True)
class HoldAndDecay:
    """Hold a rate while the information visibly rises; once it does not, anneal linearly to LR_min.

        hold:      LR = LR_top in epoch 1, then LR_hold = sqrt(LR_top * LR_max)
        anneal:    LR = max(LR_held * (N - e + 1/2) / (N - a), LR_min)      epochs e = a + 1 .. N
        N = E where the number of epochs E is known, otherwise 2 a - s: as long as the hold was

    A range test's LR_top is the smallest rate that is not visibly behind the best, its LR_max the largest that does not
    fail. LR_hold is the middle of the two on a log scale, as far from too slow as from failing. LR_top is the safer
    one, and a network is most easily damaged in its first epoch.

    The hold, begun after s epochs, ends after a epochs: as soon as the rise over its second half is not visible,

        rise <= 1.96 * epsilon * I

    rise that of the least-squares line through the information in the second half of the hold (four values at least),
    epsilon * I the noise of the estimate. The line's own error, from the noise of SGD, does not count: that a rise
    cannot be told from it is no sign that learning is over, and to anneal too early costs more than a few epochs
    too many. Where E is known, the hold ends after half of what was left at its beginning at the latest, so that
    there always is time to anneal. LR_held is the rate of its last epoch.

    If information falls visibly in one epoch of the hold, its second or a later one, LR_hold is too high: the hold
    begins anew, all of it at LR_top,

        fell:      I < before - 1.96 * sqrt(2) * epsilon * before

    before the value of the epoch before. If it falls there too, to where it is visibly below the value with which that
    hold began, the hold begins anew at half that rate, and so on, but never below LR_min. While the rate is annealed,
    either of these, twice in a row, says that something else has changed, the data for one: hold again, from there.

        lost:      I < end - 1.96 * noise
        leapt:     I > before + max(rise, 0) + 1.96 * sqrt(2) * noise
        noise = sqrt(scatter^2 + (epsilon * I)^2)

    end the end of the hold's line, scatter that of the values around it, before the larger of the two values before:
    one epoch brought more than half of the hold. Annealing raises information too, by removing SGD's noise, but over
    many epochs.

    The training is over after epoch N; the rate stays at LR_min from then on, and the phase is "finished", unless
    something changes.

    With `held_out`, information about rows that are not trained on, learning is told from memorizing: the hold ends
    when that does not visibly rise (three values at least), and the training with E at the latest,

        rise <= 1.96 * error         N = 2 a - s where that is before E, otherwise E

    rise that of the line through the held-out information in the second half of the hold, error its standard error:
    each row's contribution has a line of its own, and the rise is the mean of theirs. Rows that are to be trained on
    after all may join when the anneal begins, and need not be measured from then on.

    Attributes:
        epochs: E, the planned number of epochs; None: the rule finds it.

    Raises:
        ValueError: fewer than one epoch.
    """

    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None:
            object.__setattr__(self, "epochs", whole("epochs", self.epochs, 1))

    def decide(
        self,
        history: Sequence[float],
        *,
        epoch: int,
        reference: float,
        bounds: Bounds,
        held_out: HeldOut | None = None,
    ) -> Decision:
        """The learning rate of an epoch; see `Policy.decide`."""
        check_history(history, epoch, reference, bounds)
        trained = _Trace(history, bounds.epsilon)
        phase = _Phase(0)
        for done in range(epoch):
            phase = self._next(phase, done, trained, held_out)
        return self._decision(phase, epoch, bounds)

    def _next(self, phase: _Phase, done: int, trained: _Trace, unseen: HeldOut | None) -> _Phase:
        """The phase of epoch `done` + 1, given that of the epoch before."""
        if phase.anneal is None:
            known = unseen is not None and done < len(unseen)
            return self._held(phase, done, trained, unseen if known else None, told=unseen is not None)
        # The larger of two: the way back from a single low value is no leap.
        history = trained.nats
        now, before = history[done], max(history[done - 2 : done])
        lost = now < phase.floor
        if lost and phase.lost:
            return _Phase(done, why="information has fallen visibly, twice in a row")
        if phase.leapt_from is not None and now > phase.leapt_from + phase.leap:
            return _Phase(done, why="information has leapt, and stayed")
        return dataclasses.replace(phase, lost=lost, leapt_from=before if now > before + phase.leap else None)

    def _held(
        self, phase: _Phase, done: int, trained: _Trace, unseen: HeldOut | None, *, told: bool
    ) -> _Phase:
        """The hold goes on, or the anneal begins, after `done` epochs; `told`: rows are held out, or were once."""
        start, history = phase.start, trained.nats
        before = history[done - 1]
        # Of a first hold the value before its second epoch is that of another rate.
        if done - start >= (1 if phase.lowered else 2):
            fall, visible = before - history[done], math.sqrt(2.0) * trained.visible(done - 1)
            # To fall to LR_top costs little, and may be for noise. To go below it takes a network that gets worse.
            worse = history[start] - history[done] > math.sqrt(2.0) * trained.visible(start)
            if fall > visible and (worse or not phase.lowered):
                why = f"information fell by {fall:.2g} in one epoch, and {visible:.2g} would be visible"
                return _Phase(done, lowered=phase.lowered + 1, why=why)
        first = start + math.floor((1 - _WINDOW) * (done + 1 - start))
        seen = _rise(trained, unseen, first, done)
        if self.epochs is not None and done - start >= _LONGEST * (self.epochs - start) > 0:
            why = "half of the epochs are over"
        elif seen is not None and seen[0] <= seen[1]:
            what = "information" if unseen is None else "held-out information"
            why = f"{what} rose by {seen[0]:.2g} in {done - first} epochs, and {seen[1]:.2g} would be visible"
        else:
            return phase
        # What is to be told from noise later on is information about what is trained on; of a hold that held-out rows
        # have ended so soon a few values more, but for the untrained network's.
        wider = first if unseen is None else max(min(first, done + 1 - _FEWEST), start, 1)
        line = trained.line(wider, done)
        if line is None:  # too few epochs for one
            line = _Line(0.0, history[done], 0.0)
        band = math.hypot(_VISIBLE * line.scatter, trained.visible(done))
        end = 2 * done - start
        if self.epochs is not None:
            end = min(end, self.epochs) if told else self.epochs
        return _Phase(
            start,
            lowered=phase.lowered,
            anneal=done,
            end=end,
            why=why,
            floor=line.end - band,
            leap=max(line.rise, 0.0) + math.sqrt(2.0) * band,
        )

    def _decision(self, phase: _Phase, epoch: int, bounds: Bounds) -> Decision:
        if phase.anneal is None:
            lr = _held_rate(phase, epoch, bounds)
            if epoch == 1:
                return Decision(lr, "hold", f"start at lr_top = {lr:g}")
            if epoch == phase.start + 1 and phase.lowered:
                what = f"lr_top = {lr:g}" if phase.lowered == 1 else f"{lr:.4g}, half as much,"
                return Decision(lr, "hold", f"hold {what} from here: {phase.why}")
            if epoch == phase.start + 1:
                return Decision(lr, "hold", f"hold {lr:.4g} again: {phase.why}")
            if lr != _held_rate(phase, epoch - 1, bounds):
                return Decision(lr, "hold", f"on to {lr:.4g}, midway between lr_top and lr_max")
            return Decision(
                lr, "hold", "held: information still rises significantly, or it is too early to say"
            )
        if epoch > phase.end:
            return Decision(bounds.lr_min, "finished", f"finished after epoch {phase.end}")
        held = _held_rate(phase, phase.anneal, bounds)
        lr = held * (phase.end - epoch + 0.5) / (phase.end - phase.anneal)
        why = f"annealing since epoch {phase.anneal + 1}, to end with epoch {phase.end}: {phase.why}"
        if lr <= bounds.lr_min:
            return Decision(bounds.lr_min, "decay", f"{why}; at the floor lr_min = {bounds.lr_min:g}")
        return Decision(lr, "decay", why)


def _rise(trained: _Trace, unseen: HeldOut | None, first: int, done: int) -> tuple[float, float] | None:
    """How far what is watched rose from epoch `first` to `done`, and what would be visible; None: too early to say."""
    if unseen is None:
        line = trained.line(first, done)
        return None if line is None else (line.rise, trained.visible(done))
    if done + 1 - first < _FEWEST_HELD_OUT or not unseen.knows(first, done):
        return None
    rise, error = unseen.rise(first, done)
    return rise, _VISIBLE * error


def _held_rate(phase: _Phase, epoch: int, bounds: Bounds) -> float:
    """The learning rate of an epoch of a hold."""
    if phase.lowered or epoch == 1:
        return max(bounds.lr_top * _LOWERED ** max(phase.lowered - 1, 0), bounds.lr_min)
    middle = bounds.lr_top ** (1 - _MIDDLE) * bounds.lr_max**_MIDDLE
    return min(max(middle, bounds.lr_top), bounds.lr_max)  # where the two are one, rounding may leave them


class _Trace:
    """Values after 0, 1, .. epochs, in nats, and their relative noise."""

    def __init__(self, nats: Sequence[float], epsilon: float) -> None:
        self.nats, self._epsilon = nats, epsilon
        self._lines = _Lines(nats)

    def visible(self, done: int) -> float:
        """What a value after `done` epochs must differ by to differ visibly from one without noise."""
        return _VISIBLE * self._epsilon * abs(self.nats[done])

    def line(self, first: int, last: int) -> _Line | None:
        """The line through these values, None where they are too few for one."""
        return None if last + 1 - first < _FEWEST else self._lines.through(first, last)


@dataclass(frozen=True)
class _Phase:
    """A hold begun after `start` epochs, or the anneal that follows it, after `anneal` epochs up to epoch `end`.

    `lowered` is how often in a row information fell in the hold before, so that this one is at LR_top or below;
    `floor` what information must not fall below, and `lost` whether the last did; `leap` what one epoch must not
    bring, and `leapt_from` the value before the last epoch if that did.
    """

    start: int
    lowered: int = 0
    anneal: int | None = None
    end: int = 0
    why: str = ""
    floor: float = -math.inf
    lost: bool = False
    leap: float = math.inf
    leapt_from: float | None = None


@dataclass(frozen=True)
class _Line:
    """A least-squares line: its rise from first to last, its last value, the scatter around it."""

    rise: float
    end: float
    scatter: float


class _Lines:
    """Least-squares lines through any stretch of equally spaced values, each in a few operations, by running sums."""

    def __init__(self, values: Sequence[float]) -> None:
        # Less the last value: the squares of what is left stay small where the values have settled.
        self._zero = values[-1]
        centred = [value - self._zero for value in values]
        self._sums = [0.0, *accumulate(centred)]
        self._moments = [0.0, *accumulate(i * value for i, value in enumerate(centred))]
        self._squares = [0.0, *accumulate(value * value for value in centred)]

    def through(self, first: int, last: int) -> _Line:
        """The line through values[first..last], three or more."""
        n = last - first + 1
        total, moment, squares = (
            sums[last + 1] - sums[first] for sums in (self._sums, self._moments, self._squares)
        )
        spread = n * (n * n - 1) / 12
        slope = (moment - total * (first + last) / 2) / spread
        left = max(squares - total * total / n - slope * slope * spread, 0.0)
        scatter = math.sqrt(left / (n - 2))
        rise = slope * (n - 1)
        return _Line(rise, self._zero + total / n + rise / 2, scatter)
