"""Our own rule: hold while information still rises beyond its noise, then anneal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from infopace.policies._bounds import Bounds
from infopace.policies._policy import Decision, check_history

# The two-sided 95 % quantile of the normal: what counts as visible, as in the range test.
_VISIBLE = 1.96
# A line through three values has one degree of freedom left, and its error says nothing.
_FEWEST = 4


@dataclass(frozen=True)
class HoldAndAnneal:
    """Hold LR_top while the information visibly rises; once it does not, anneal linearly to LR_min.

        hold:      LR = LR_top
        anneal:    LR = max(LR_top * (N - e + 1/2) / (N - a), LR_min)      epochs e = a + 1 .. N
        N = E where the number of epochs E is known, otherwise 2 a - s: as long as the hold was

    The hold, begun after s epochs, ends after a epochs: as soon as the rise over its second half is not visible,

        rise < 1.96 * sqrt(error^2 + (epsilon * I)^2)

    rise and error those of the least-squares line through the information in the second half of the hold (four values
    at least), error from the scatter around it: the noise of SGD at this rate; epsilon * I the noise of the
    estimate. Where E is known, the hold ends after half of what was left at its beginning at the latest, so that
    there always is time to anneal.

    Information visibly below the end of that line, I < end - 1.96 * sqrt(scatter^2 + (epsilon * I)^2), twice in a row,
    says that something else has changed, the data for one: hold again, from there. Without E the training is over
    after epoch N; the rate stays at LR_min from then on, and the cause is "finished".

    Attributes:
        epochs: E, the planned number of epochs; None: the rule finds it.

    Raises:
        ValueError: fewer than one epoch.
    """

    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

    def decide(self, history: Sequence[float], *, epoch: int, reference: float, bounds: Bounds) -> Decision:
        """The learning rate of an epoch; see `Policy.decide`."""
        check_history(history, epoch, reference)
        lines = _Lines(history)
        phase = _Phase(0)
        for done in range(epoch):
            phase = self._next(phase, done, history, lines, bounds.epsilon)
        return self._decision(phase, epoch, bounds)

    def _next(
        self, phase: _Phase, done: int, history: Sequence[float], lines: _Lines, epsilon: float
    ) -> _Phase:
        """The phase of epoch `done` + 1, given that of the epoch before."""
        if phase.anneal is None:
            return self._held(phase, done, history, lines, epsilon)
        if done > phase.end:
            return phase
        low = history[done] < phase.floor
        if low and phase.low:
            return _Phase(done, why="information has fallen visibly, twice in a row")
        return dataclasses.replace(phase, low=low)

    def _held(
        self, phase: _Phase, done: int, history: Sequence[float], lines: _Lines, epsilon: float
    ) -> _Phase:
        """The hold goes on, or the anneal begins, after `done` epochs."""
        start, noise = phase.start, epsilon * abs(history[done])
        first = start + (done + 1 - start) // 2
        line = lines.through(first, done) if done + 1 - first >= _FEWEST else None
        if self.epochs is not None and done - start >= (self.epochs - start) / 2 > 0:
            why = "half of the epochs are over"
        elif line is not None and line.rise <= (visible := _VISIBLE * math.hypot(line.error, noise)):
            why = f"information rose by {line.rise:.2g} in {done - first} epochs, and {visible:.2g} would be visible"
        else:
            return phase
        level, scatter = (history[done], 0.0) if line is None else (line.end, line.scatter)
        return _Phase(
            start,
            anneal=done,
            end=2 * done - start if self.epochs is None else self.epochs,
            why=why,
            floor=level - _VISIBLE * math.hypot(scatter, noise),
        )

    def _decision(self, phase: _Phase, epoch: int, bounds: Bounds) -> Decision:
        top = bounds.first
        if phase.anneal is None:
            if epoch == 1:
                return Decision(top, f"start at lr_top = {top:g}", "start")
            if phase.start == epoch - 1:
                return Decision(top, f"hold again at lr_top = {top:g}: {phase.why}", "restart")
            return Decision(top, "held: information still rises visibly, or it is too early to say", "held")
        if epoch > phase.end:
            return Decision(bounds.lr_min, f"finished after epoch {phase.end}", "finished")
        lr = top * (phase.end - epoch + 0.5) / (phase.end - phase.anneal)
        why = f"annealing since epoch {phase.anneal + 1}, to end with epoch {phase.end}: {phase.why}"
        if lr <= bounds.lr_min:
            return Decision(bounds.lr_min, f"{why}; at the floor lr_min = {bounds.lr_min:g}", "floor")
        return Decision(lr, why, "anneal")


@dataclass(frozen=True)
class _Phase:
    """A hold begun after `start` epochs, or the anneal that follows it, after `anneal` epochs up to epoch `end`.

    `floor` is what information must not fall below, `low` whether the last did.
    """

    start: int
    anneal: int | None = None
    end: int = 0
    why: str = ""
    floor: float = -math.inf
    low: bool = False


@dataclass(frozen=True)
class _Line:
    """A least-squares line: its rise from first to last, the standard error of that, its last value, the scatter."""

    rise: float
    error: float
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
        return _Line(rise, scatter / math.sqrt(spread) * (n - 1), self._zero + total / n + rise / 2, scatter)
