"""Our own rule: hold the rate, for half of a plan or while information rises significantly, then decay it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import accumulate
from typing import ClassVar, Literal, get_args

from infopace._checks import check_choice, positive, share, whole
from infopace.policies._bounds import Bounds
from infopace.policies._decay import Decay, decaying, finished, middle
from infopace.policies._held_out import HeldOut
from infopace.policies._policy import Decision, Observed, Policy, planned_number
from infopace.policies._within_plan import decide_within_plan

Decays = Literal["rate", "momentum"]


@dataclass(frozen=True)
class HoldAndDecay(Policy):
    """Hold a rate, then decay it linearly to LR_min.

        hold:      LR = LR_top in epoch 1, then LR_hold = sqrt(LR_top * LR_max)
        decay:     LR = max(LR_held * (N - e + 1/2) / (N - a), LR_min)      epochs e = a + 1 .. N

    Information is what the scheduler measures: usable information at the output, unless another is asked for. Any
    signal in nats will do that rises while the network learns. Where the scheduler counts optimizer steps, an epoch is
    a unit of time of a fixed number of steps (`Observed.unit`), and the decay falls with each step. LR_held is the rate
    of the hold's last epoch.

    **With a plan of E epochs** the rule seeks the best network by its end. The hold takes half of the epochs, the decay
    the other half: a = E / 2, N = E. Three things change that. H is the information about held-out examples:

        fell:      I < least - noise, or rise of I < -max(noise, t * wander)
                   noise = 1.96 * sqrt(2) * max(epsilon * |least|, error of I, error of H)
                   the hold goes on from epoch b, at half the rate (at LR_top the first time, if that is lower)
        overfits:  in a hold, I > I of b, and rise < -max(1.96 * error, t * wander)
                   the decay begins from epoch b, and takes b epochs, four or more: N = min(a + b, E)
        overfits:  in a watched decay, I > I of b, and H < H of b - max(1.96 * error, 1.96 * sqrt(2) * scatter)
                   the same; the second time the run is over, with the network of epoch b

    least is the least value of the hold's second half. Information falls below it where the rate is too high. It
    follows a slow fall, which shows in the line through these values, four or more: its rise is negative. b is the
    best epoch: see `HeldOut.bests`, or without held-out examples the one with the highest information. The network
    returns to what it was then, where the scheduler can. Where more was known about the probe then, the rate is too
    high, and the network does not overfit. rise is that of the least-squares line through the information about
    held-out examples in the second half of the hold (at least four values). Each example's contribution has a line of
    its own; the rise is the mean of theirs, and error its standard error. wander is the standard error of the rise by
    the scatter of the values around the line, which is the noise of SGD, and t the 97.5 % quantile of Student's
    distribution for so few values.

    A decay is watched, and held-out examples stay held out in it, where H does not rise in the second half of the hold,
    and I is significantly above H. The network overfits in both cases too where it knows more of its own examples by
    heart, I - H less that of the first value, than it knows about others, by 2 * 1.96 * error of H, and H does not
    rise, or is below that of b.

    **With `stop_early`, and without a plan**, the rule seeks the end itself. The hold that began after s epochs lasts
    while information rises significantly, and the decay as long as the hold: N = 2 a - s, and E at the latest.

        ends:      rise <= 1.96 * epsilon * I    of the probe, over the second half of the hold, four values or more
                   rise <= 1.96 * error          of held-out examples instead, where there are any, three or more
        fell:      I < before - 1.96 * sqrt(2) * epsilon * before
                   the hold begins anew at LR_top, and then at half the rate each time

    epsilon * I is the noise of the estimate. The line's own error, from the noise of SGD, does not count there. A rise
    within that error does not mean that learning is over, and to decay too early costs more than a few epochs too many.
    before is the value of the epoch before, of the second epoch or a later one. At LR_top or below, information must
    also fall below what that hold began with. In the decay phase, either of these twice in a row says that something
    else has changed, such as the data. The rule then holds again, from there.

        lost:      I < end - 1.96 * noise
        leapt:     I > before + max(rise, 0) + 1.96 * sqrt(2) * noise
        noise = sqrt(scatter^2 + (epsilon * I)^2)

    end is the last value of the hold's line, scatter that of the values around it, before the larger of the two values
    before. A leap is an epoch that brought more than half of the hold did. The decay raises information too, by
    removing SGD's noise, but over many epochs.

    A range test's LR_top is the smallest rate that is not significantly behind the best. Its LR_max is the largest that
    does not fail. LR_hold is the middle of the two on a log scale, as far from too slow as from failing. Epoch 1 takes
    the safer LR_top, because a network is most easily damaged when it is new. A search in the run gives one rate for
    all three.

    The run is over after epoch N. The rate stays at LR_min from then on, and the phase is "finished". After epoch E
    nothing is read any more. Held-out examples may join the training set when a decay begins that is not watched. They
    need not be measured from then on.

    The shape is that of warm-up, stable, decay (Hu et al. 2024, MiniCPM). That the slope of a signal ends a stage is in
    SALSA (Zhang et al. 2020, Statistical Adaptive Stochastic Gradient Methods).

    Attributes:
        epochs: E, the planned number of epochs; None: the rule finds it. Epochs that were rolled back, or were over
            when the history began, are taken off.
        steps: The planned number of optimizer steps instead, for a scheduler that counts them.
        stop_early: With a planned end: the same result sooner, instead of the best result within the plan.
        z: 1.96, the two-sided 95 % quantile of the normal distribution: what counts as significant.
        window: 1/2, the share of the hold in which the rule looks for a rise.
        longest: 1/2, the largest share of the planned epochs that a hold takes.
        middle: 1/2, where the held rate lies between LR_top (0) and LR_max (1), on a log scale.
        lowered: 1/2, the share of the rate that is held after information has fallen.
        fewest: 4, the fewest values for a line. A line through three has one degree of freedom left, and the scatter
            around it means nothing.
        fewest_held_out: 3, the same for a rise of held-out information. Only the rise counts there, and each epoch too
            many is one more of overfitting.
        shape: The share of the held rate, by the share of the decay phase that is over; None: a straight line.
        decays: "rate", or "momentum" for SGD, where the effective rate LR / (1 - mu) falls on the same curve:

            mu = 1 - (1 - mu_0) * LR_held / LR   at LR_held, down to mu = 0; from then on the rate LR / (1 - mu_0) falls

            mu_0 is the momentum that the optimizer was made with. Decisions and pictures name the rate of equal effect
            at mu_0; `explain` names the rate and momentum that the optimizer has. Near an optimum both ways leave the
            same noise: see `infopace.diagnostics.effective_rate`.

    Raises:
        ValueError: fewer than one epoch, or a constant out of its range.
    """

    reads_held_out: ClassVar[bool] = True

    epochs: int | None = None
    _: KW_ONLY
    steps: int | None = None
    stop_early: bool = False
    z: float = 1.96
    window: float = 0.5
    longest: float = 0.5
    middle: float = 0.5
    lowered: float = 0.5
    fewest: int = 4
    fewest_held_out: int = 3
    shape: Callable[[float], float] | None = None
    decays: Decays = "rate"

    def __post_init__(self) -> None:
        def put(name: str, value: float | int | None) -> None:
            object.__setattr__(self, name, value)

        put("epochs", planned_number("epochs", self.epochs))
        put("steps", planned_number("steps", self.steps, other=self.epochs))
        put("z", positive("z", self.z))
        for name in ("window", "longest", "middle", "lowered"):
            put(name, share(name, getattr(self, name), zero=name == "middle"))
        for name, least in (("fewest", 3), ("fewest_held_out", 2)):
            put(name, whole(name, getattr(self, name), least))
        if not isinstance(self.stop_early, bool):
            raise ValueError(f"stop_early must be True or False, got {self.stop_early!r}")
        if not (self.shape is None or callable(self.shape)):
            raise ValueError(f"shape must be a function of the share that is over, got {self.shape!r}")
        check_choice("decays", self.decays, get_args(Decays))

    @property
    def goes_back(self) -> bool:
        """Whether a decision may return to an earlier network: where the rule uses a planned number of epochs."""
        return (self.epochs is not None or self.steps is not None) and not self.stop_early

    @property
    def lowers_momentum(self) -> bool:
        """Whether a decay is one of momentum."""
        return self.decays == "momentum"

    def decide(self, observed: Observed) -> Decision:
        """The learning rate of the epoch about to run."""
        run = _Run(self, observed)
        if run.epochs is not None and observed.epoch - 1 >= run.epochs:
            return finished(observed, run.epochs)
        if run.epochs is not None and not self.stop_early:
            return decide_within_plan(self, observed, run.epochs)
        cycle = _Cycle(0)
        for done in range(observed.epoch):
            cycle = self._next(cycle, done, run)
        return self._decision(cycle, observed)

    def _next(self, cycle: _Cycle, done: int, run: _Run) -> _Cycle:
        """The cycle that epoch `done` + 1 is in, given that of the epoch before."""
        if cycle.hold_end is None:
            return self._held(cycle, done, run)
        # The larger of two: the way back from a single low value is no leap.
        now, before = run.nats[done], max(run.nats[done - 2 : done])
        lost = now < cycle.floor
        # A new hold of one epoch at least, with time to decay after it.
        may_hold = run.epochs is None or self.longest * (run.epochs - done) >= 1
        if lost and cycle.lost and may_hold:
            return _Cycle(done, why="information has fallen significantly, twice in a row")
        if cycle.leapt_from is not None and now > cycle.leapt_from + cycle.leap and may_hold:
            return _Cycle(done, why="information has leapt, and stayed")
        return dataclasses.replace(cycle, lost=lost, leapt_from=before if now > before + cycle.leap else None)

    def _held(self, cycle: _Cycle, done: int, run: _Run) -> _Cycle:
        """The hold goes on, or begins anew, or the decay begins, after `done` epochs."""
        start, nats = cycle.start, run.nats
        # In a first hold the value before its second epoch is that of another rate.
        if done - start >= (1 if cycle.lowered else 2):
            fall, least = nats[done - 1] - nats[done], math.sqrt(2.0) * run.least_change(done - 1)
            # To fall back to LR_top costs little, and noise may be the reason. Below it the network must get worse.
            worse = nats[start] - nats[done] > math.sqrt(2.0) * run.least_change(start)
            if fall > least and (worse or not cycle.lowered):
                why = f"information fell by {fall:.2g} in {run.unit}, and {least:.2g} would be significant"
                return _Cycle(done, lowered=cycle.lowered + 1, why=why)
        first = start + math.floor((1 - self.window) * (done + 1 - start))
        found = run.rise(first, done)
        if run.epochs is not None and done - start >= self.longest * (run.epochs - start) > 0:
            why = f"half of the {run.units} are over"
        elif found is not None and found[0] <= found[1]:
            what = "held-out information" if run.holds_out(done) else "information"
            time = run.spell(done - first)
            why = f"{what} rose by {found[0]:.2g} in {time}, and {found[1]:.2g} would be significant"
        else:
            return cycle
        return self._decay(cycle, done, first, why, run)

    def _decay(self, cycle: _Cycle, done: int, first: int, why: str, run: _Run) -> _Cycle:
        """The decay phase of a cycle whose hold ends after `done` epochs."""
        # Lost and leapt are about what is trained on. Held-out examples may end the hold after few epochs: the line
        # then takes some values more, but not the untrained network's.
        if run.holds_out(done):
            first = max(min(first, done + 1 - self.fewest), cycle.start, 1)
        line = run.line(first, done) or _Line(0.0, run.nats[done], 0.0)
        band = math.hypot(self.z * line.scatter, run.least_change(done))
        end = 2 * done - cycle.start
        if run.epochs is not None:
            end = run.epochs if run.held_out is None else min(end, run.epochs)
        return _Cycle(
            cycle.start,
            lowered=cycle.lowered,
            hold_end=done,
            end=end,
            why=why,
            floor=line.end - band,
            leap=max(line.rise, 0.0) + math.sqrt(2.0) * band,
        )

    def _decision(self, cycle: _Cycle, observed: Observed) -> Decision:
        epoch, bounds = observed.epoch, observed.bounds
        if cycle.hold_end is None:
            return self._hold_decision(cycle, epoch, bounds)
        if epoch - 1 >= cycle.end:
            return finished(observed, cycle.end)
        held = self._held_rate(cycle, cycle.hold_end, bounds)
        return decaying(self, observed, Decay(cycle.hold_end, cycle.end, held, cycle.why))

    def _hold_decision(self, cycle: _Cycle, epoch: int, bounds: Bounds) -> Decision:
        lr = self._held_rate(cycle, epoch, bounds)
        if epoch == 1:
            why = f"start at lr_top = {lr:g}"
        elif epoch == cycle.start + 1 and cycle.lowered:
            what = f"lr_top = {lr:g}" if cycle.lowered == 1 else f"{lr:.4g}, {self.lowered:g} times as much,"
            why = f"hold {what} from here: {cycle.why}"
        elif epoch == cycle.start + 1:
            why = f"hold {lr:.4g} again: {cycle.why}"
        elif lr != self._held_rate(cycle, epoch - 1, bounds):
            why = f"on to {lr:.4g}, between lr_top and lr_max"
        else:
            why = "held: information still rises significantly, or it is too early to say"
        return Decision(lr, "hold", why)

    def _held_rate(self, cycle: _Cycle, epoch: int, bounds: Bounds) -> float:
        """The learning rate of an epoch of a hold."""
        if cycle.lowered or epoch == 1:
            return max(bounds.lr_top * self.lowered ** max(cycle.lowered - 1, 0), bounds.lr_min)
        return middle(self, bounds)


@dataclass(frozen=True)
class _Cycle:
    """A hold that began after `start` epochs, and the decay that follows it: from `hold_end` epochs to epoch `end`.

    Attributes:
        lowered: How often in a row information fell in the hold before: this hold is at LR_top or below.
        floor: What information must not fall below in the decay.
        lost: Whether the last value did.
        leap: What one epoch of the decay must not bring.
        leapt_from: The value before the last epoch if that brought more.
    """

    start: int
    lowered: int = 0
    hold_end: int | None = None
    end: float | int = 0
    why: str = ""
    floor: float = -math.inf
    lost: bool = False
    leap: float = math.inf
    leapt_from: float | None = None


class _Run:
    """What was observed, as the rule reads it: information, its lines, and what counts as significant."""

    def __init__(self, rule: HoldAndDecay, observed: Observed) -> None:
        self.nats, self.held_out, self._rule = observed.history, observed.held_out, rule
        self.epochs = observed.left_of(rule.epochs, rule.steps)
        self._steps = observed.unit
        self._epsilon = observed.bounds.epsilon
        self._lines = _Lines(self.nats)

    @property
    def units(self) -> str:
        """What time is counted in."""
        return "epochs" if self._steps is None else "steps"

    @property
    def unit(self) -> str:
        """A unit of time in words."""
        return "one epoch" if self._steps is None else self.spell(1)

    def spell(self, units: int) -> str:
        """A span of time in words."""
        return f"{units} epochs" if self._steps is None else f"{units * self._steps} steps"

    def holds_out(self, done: int) -> bool:
        """Whether held-out information is known after `done` epochs."""
        return self.held_out is not None and done < len(self.held_out)

    def least_change(self, done: int) -> float:
        """By how much a value must differ from the one after `done` epochs, if that has no noise, to be significant."""
        return self._rule.z * self._epsilon * abs(self.nats[done])

    def line(self, first: int, last: int) -> _Line | None:
        """The line through these values; None: too few."""
        return None if last + 1 - first < self._rule.fewest else self._lines.through(first, last)

    def rise(self, first: int, done: int) -> tuple[float, float] | None:
        """The rise from `first` to `done` epochs, and what would be significant; None: too early to say."""
        held_out: HeldOut | None = self.held_out if self.holds_out(done) else None
        if held_out is None:
            line = self.line(first, done)
            return None if line is None else (line.rise, self.least_change(done))
        if done + 1 - first < self._rule.fewest_held_out or not held_out.knows(first, done):
            return None
        rise, error = held_out.rise(first, done)
        return rise, self._rule.z * error


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
