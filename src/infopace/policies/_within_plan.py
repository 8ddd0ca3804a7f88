"""`HoldAndDecay` within a plan: the best network by the planned end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from infopace.policies._bounds import Bounds
from infopace.policies._decay import Decay, Rule, decaying, middle
from infopace.policies._held_out import HeldOut, two_sided_quantile
from infopace.policies._policy import Decision, Observed


@runtime_checkable
class _Rule(Rule, Protocol):
    """What is read of the rule; see `HoldAndDecay`."""

    @property
    def z(self) -> float: ...

    @property
    def window(self) -> float: ...

    @property
    def longest(self) -> float: ...

    @property
    def lowered(self) -> float: ...

    @property
    def fewest(self) -> int: ...


@dataclass(frozen=True)
class _Hold:
    """A hold that began after `start` epochs.

    Attributes:
        lowered: How often information fell before it.
        back: The epoch whose network it begins with; None: that of its start.
        level: What it begins with, in nats, less what noise explains.
        why: Why it began.
    """

    start: int = 0
    lowered: int = 0
    back: int | None = None
    level: float = math.inf
    why: str = ""


def decide_within_plan(rule: _Rule, observed: Observed, epochs: float | int) -> Decision:
    """The decision for the epoch about to run, of `epochs` planned ones. The formulas are in `HoldAndDecay`."""
    hold, decay = _Hold(), None
    for done in range(observed.epoch):
        if decay is not None:
            decay = _overfitting(rule, decay, done, observed, epochs) or decay
        elif (decay := _ended(rule, hold, done, observed, epochs)) is None:
            hold = _fallen(rule, hold, done, observed) or hold
    if decay is None:
        return _hold_decision(rule, hold, observed)
    return decaying(rule, observed, decay)


def _ended(rule: _Rule, hold: _Hold, done: int, observed: Observed, epochs: float | int) -> Decay | None:
    """The decay after a hold that is over; None: it goes on."""
    held = _held(rule, hold, observed.bounds)
    # Where a search has left no more than a unit of steps, the rate falls within it.
    last = observed.unit is not None and epochs <= 1
    if last or (done > 0 and done >= rule.longest * epochs):
        what = "epochs" if observed.unit is None else "steps"
        noise = _watch(rule, hold, done, observed)
        return Decay(done, epochs, held, f"half of the {what} are over", watched=noise)
    why = _overfits(rule, hold, done, observed)
    return None if why is None else _from_best(rule, held, done, observed, epochs, why)


def _from_best(
    rule: _Rule, held: float, done: int, observed: Observed, epochs: float | int, why: str
) -> Decay:
    """A decay from the best network, as long as this took to train, or a few epochs."""
    best = _best(observed, done)
    end = min(done + max(best, rule.fewest), epochs)
    return Decay(done, end, held, why, best if observed.returns else None)


def _overfitting(
    rule: _Rule, decay: Decay, done: int, observed: Observed, epochs: float | int
) -> Decay | None:
    """Another decay, from the best network, where the network overfits in a decay. None: it goes on."""
    held_out = observed.held_out
    if decay.watched is None or held_out is None or done >= min(len(held_out), decay.end):
        return None
    fall, error = held_out.falls[done]
    if fall <= 0 or not _knows_more(observed, done):
        return None
    noise = max(rule.z * error, decay.watched)
    if fall > noise:
        why = f"held-out information is {fall:.2g} below the best, and {noise:.2g} would be significant"
    elif (why := _by_heart(rule, done, observed, held_out)) is None:
        return None
    if decay.again:
        return replace(decay, begin=done, end=done, back=_best(observed, done) if observed.returns else None)
    again = _from_best(rule, decay.held, done, observed, epochs, why)
    return replace(again, watched=decay.watched, again=True)


def _watch(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> float | None:
    """The noise of held-out information where it rises no more, while significantly more is known about the probe.

    Elsewhere None: nothing says that the network might overfit.
    """
    if (line := _line(rule, hold, done, observed)) is None:
        return None
    held_out, first = line
    more = _known_by_heart(observed, done, held_out)
    if held_out.rise(first, done)[0] > 0 or more <= rule.z * held_out.errors[done]:
        return None
    return rule.z * math.sqrt(2.0) * held_out.scatter(first, done)


def _knows_more(observed: Observed, done: int) -> bool:
    """Whether more is known about the probe than the best network knew. If not, the rate was too high."""
    return observed.history[done] > observed.history[_best(observed, done)]


def _known_by_heart(observed: Observed, done: int, held_out: HeldOut) -> float:
    """What the network knows about its own examples and not about others, in nats."""
    # Held-out examples may be harder from the start, such as the last stretch of a series.
    harder = max(observed.history[0] - held_out.nats[0], 0.0)
    return observed.history[done] - held_out.nats[done] - harder


def _by_heart(rule: _Rule, done: int, observed: Observed, held_out: HeldOut) -> str | None:
    """Whether the network knows more of its own examples by heart than about others, in words."""
    known, by_heart = held_out.nats[done], _known_by_heart(observed, done, held_out)
    if by_heart - known <= 2 * rule.z * held_out.errors[done]:
        return None
    return f"the network knows {by_heart:.2g} nats by heart, and {known:.2g} about held-out examples"


def _fallen(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> _Hold | None:
    """The hold at a lower rate, where information fell below all that the second half of the hold had, or sinks."""
    nats = observed.history
    # The first value of a hold is that of another rate, or of a network that was left.
    first = max(_second_half(rule, hold, done), hold.start + 1)
    least = min([*nats[first:done], hold.level])
    if not math.isfinite(least):
        return None
    noise = rule.z * math.sqrt(2.0) * max(observed.bounds.epsilon * abs(least), _error(observed, done))
    if done <= hold.start:
        return None
    fall, why = least - nats[done], "below all of the last values"
    if fall <= noise:
        # The least value follows a slow fall, and does not show it.
        fall, wander = _sinking(nats[first : done + 1]) if done + 1 - first >= rule.fewest else (0.0, 0.0)
        noise, why = max(noise, wander), f"in {_span(observed, done - first)}"
    if fall <= noise:
        return None
    if _held(rule, hold, observed.bounds) <= observed.bounds.lr_min:
        return None
    back = _best(observed, done) if observed.returns else None
    why = f"information fell by {fall:.2g} {why}, and {noise:.2g} would be significant"
    # It goes on from what is left, or from an earlier network, which may know less of the probe.
    level = nats[done] if back is None else min(least, nats[back])
    return _Hold(done, hold.lowered + 1, back, level, why)


def _sinking(values: Sequence[float]) -> tuple[float, float]:
    """How far the least-squares line through values falls, and how far 97.5 % of those through steady ones do at most.

    >>> _sinking([0.7, 0.6, 0.6, 0.5, 0.4])
    (0.28, 0.127)
    """
    y, x = np.asarray(values, dtype=np.float64), np.arange(len(values)) - (len(values) - 1) / 2
    long, slope = len(values) - 1, float(x @ y) / float(x @ x)
    left = y - y.mean() - slope * x
    error = math.sqrt(float(left @ left) / (len(values) - 2) / float(x @ x))
    return -slope * long, two_sided_quantile(len(values) - 2.0) * error * long


def _span(observed: Observed, units: int) -> str:
    """So many units of time, in words."""
    return f"{units} epochs" if observed.unit is None else f"{units * observed.unit} steps"


def _error(observed: Observed, done: int) -> float:
    """The error of an estimate. Where little is known, epsilon says too little."""
    held_out, errors = observed.held_out, observed.errors
    known = [] if held_out is None or done >= len(held_out) else [held_out.errors[done]]
    return max([0.0, *known, *(one for one in errors[done : done + 1] if one is not None)])


def _overfits(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> str | None:
    """Why the network overfits in a hold, in words. None: it does not, or it is too early to say."""
    if (line := _line(rule, hold, done, observed)) is None:
        return None
    held_out, first = line
    rise, error = held_out.rise(first, done)
    if rise > 0 or not _knows_more(observed, done):
        return None
    if why := _by_heart(rule, done, observed, held_out):
        return why
    noise = max(rule.z * error, held_out.wander(first, done))
    if -rise <= noise:
        return None
    time = _span(observed, done - first)
    return f"held-out information fell by {-rise:.2g} in {time}, and {noise:.2g} would be significant"


def _line(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> tuple[HeldOut, int] | None:
    """Held-out information, and where the line through it begins: in the second half of the hold, at its own rate.

    None: there is none, or it is too early for a line.
    """
    held_out = observed.held_out
    if held_out is None or done >= len(held_out):
        return None
    first = max(_second_half(rule, hold, done), hold.start + (hold.lowered > 0))
    return (held_out, first) if done + 1 - first >= rule.fewest and held_out.knows(first, done) else None


def _best(observed: Observed, done: int) -> int:
    """The best of `done` epochs, by information about held-out examples where there are any."""
    return best_epoch(observed.history[: done + 1], observed.held_out, observed.bounds.epsilon)


def best_epoch(nats: Sequence[float], held_out: HeldOut | None, epsilon: float) -> int:
    """After how many epochs the network was best, of those that `nats` has.

    By information about held-out examples, as `HeldOut.bests` says, as far as it is known. Without any, by the
    information of the probe; of equal values, which differ by less than epsilon, the first.

    >>> best_epoch([0.0, 1.0, 1.5, 1.505, 1.4], None, epsilon=0.01)
    2
    """
    if held_out is not None:
        return held_out.bests[min(len(nats), len(held_out)) - 1]
    best = 0
    for epoch, value in enumerate(nats):
        if value > nats[best] + epsilon * abs(nats[best]):
            best = epoch
    return best


def _second_half(rule: _Rule, hold: _Hold, done: int) -> int:
    """The first epoch of the share of the hold in which the rule looks."""
    return hold.start + math.floor((1 - rule.window) * (done + 1 - hold.start))


def _held(rule: _Rule, hold: _Hold, bounds: Bounds) -> float:
    """The rate of a hold: LR_hold, LR_top where that is lower, and then half as much each time."""
    rates = [middle(rule, bounds)]
    if bounds.lr_top < rates[0]:
        rates.append(bounds.lr_top)
    more = hold.lowered + 1 - len(rates)
    lr = rates[hold.lowered] if more <= 0 else rates[-1] * rule.lowered**more
    return max(lr, bounds.lr_min)


def _hold_decision(rule: _Rule, hold: _Hold, observed: Observed) -> Decision:
    epoch, bounds = observed.epoch, observed.bounds
    lr = bounds.lr_top if epoch == 1 else _held(rule, hold, bounds)
    if epoch == 1:
        return Decision(lr, "hold", f"start at lr_top = {lr:g}")
    if hold.lowered and epoch == hold.start + 1:
        return Decision(lr, "hold", f"hold {lr:.4g} from here: {hold.why}", back=hold.back)
    if epoch == 2 and lr != bounds.lr_top:
        return Decision(lr, "hold", f"on to {lr:.4g}, between lr_top and lr_max")
    return Decision(lr, "hold", "held until half of the plan is over, or the network overfits")
