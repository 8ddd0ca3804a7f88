"""`HoldAndDecay` within a plan: the best network by the planned end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from infopace.policies._bounds import Bounds
from infopace.policies._decay import Rule, decaying, middle
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
    hold = _Hold()
    for done in range(observed.epoch):
        if done > 0 and done >= rule.longest * epochs:
            what = "epochs" if observed.unit is None else "steps"
            return decaying(
                rule,
                observed,
                _held(rule, hold, observed.bounds),
                done,
                epochs,
                f"half of the {what} are over",
            )
        if (why := _overfits(rule, hold, done, observed)) is not None:
            best = _best(observed, done)
            end = min(done + max(best, rule.fewest), epochs)
            back = best if observed.returns else None
            return decaying(rule, observed, _held(rule, hold, observed.bounds), done, end, why, back)
        hold = _fallen(rule, hold, done, observed) or hold
    return _hold_decision(rule, hold, observed)


def _fallen(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> _Hold | None:
    """The hold at a lower rate, where information fell below all that the second half of the hold had."""
    nats = observed.history
    # The first value of a hold is that of another rate, or of a network that was left.
    first = max(_second_half(rule, hold, done), hold.start + 1)
    least = min([*nats[first:done], hold.level])
    if not math.isfinite(least):
        return None
    noise = rule.z * math.sqrt(2.0) * max(observed.bounds.epsilon * abs(least), _error(observed, done))
    fall = least - nats[done]
    if done <= hold.start or fall <= noise:
        return None
    if _held(rule, hold, observed.bounds) <= observed.bounds.lr_min:
        return None
    back = _best(observed, done) if observed.returns else None
    why = f"information fell by {fall:.2g} below all of the last values, and {noise:.2g} would be significant"
    # It goes on from what is left, or from an earlier network, which may know less of the probe.
    level = nats[done] if back is None else min(least, nats[back])
    return _Hold(done, hold.lowered + 1, back, level, why)


def _error(observed: Observed, done: int) -> float:
    """The error of an estimate as far as held-out examples show it. Where little is known, epsilon says too little."""
    held_out = observed.held_out
    return 0.0 if held_out is None or done >= len(held_out) else held_out.errors[done]


def _overfits(rule: _Rule, hold: _Hold, done: int, observed: Observed) -> str | None:
    """Why the network overfits, in words. None: it does not, or it is too early to say."""
    held_out = observed.held_out
    if held_out is None or done >= len(held_out):
        return None
    first = max(_second_half(rule, hold, done), hold.start + (hold.lowered > 0))
    if done + 1 - first < rule.fewest:
        return None
    known = held_out.nats[done]
    # Held-out examples may be harder from the start, such as the last stretch of a series.
    harder = max(observed.history[0] - held_out.nats[0], 0.0)
    by_heart = observed.history[done] - known - harder
    if by_heart - known > 2 * rule.z * held_out.errors[done]:
        return f"the network knows {by_heart:.2g} nats by heart, and {known:.2g} about held-out examples"
    if not held_out.knows(first, done):
        return None
    rise, error = held_out.rise(first, done)
    noise = max(rule.z * error, held_out.wander(first, done))
    if -rise <= noise:
        return None
    time = f"{done - first} epochs" if observed.unit is None else f"{(done - first) * observed.unit} steps"
    return f"held-out information fell by {-rise:.2g} in {time}, and {noise:.2g} would be significant"


def _best(observed: Observed, done: int) -> int:
    """The best of `done` epochs, by information about held-out examples where there are any."""
    nats = observed.history if observed.held_out is None else observed.held_out.nats
    return best_epoch(nats[: done + 1], observed.bounds.epsilon)


def best_epoch(nats: Sequence[float], epsilon: float) -> int:
    """After how many epochs information was highest; of equal values, which differ by less than epsilon, the first.

    >>> best_epoch([0.0, 1.0, 1.5, 1.505, 1.4], epsilon=0.01)
    2
    """
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
