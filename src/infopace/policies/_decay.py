"""The rates of a hold and of the decay after it, as `HoldAndDecay` has them with a plan and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from infopace._checks import number
from infopace.policies._bounds import Bounds
from infopace.policies._policy import Decision, Observed


@runtime_checkable
class Rule(Protocol):
    """What is read of the rule; see `HoldAndDecay`."""

    @property
    def middle(self) -> float: ...

    @property
    def shape(self) -> Callable[[float], float] | None: ...

    @property
    def lowers_momentum(self) -> bool: ...


def middle(rule: Rule, bounds: Bounds) -> float:
    """The rate that is held: between LR_top and LR_max, on a log scale."""
    held = bounds.lr_top ** (1 - rule.middle) * bounds.lr_max**rule.middle
    return min(max(held, bounds.lr_top), bounds.lr_max)  # where the two are one, rounding may leave them


@dataclass(frozen=True)
class Decay:
    """A decay from `begin` to `end` epochs, from the rate `held`.

    Attributes:
        why: Why it began.
        back: The epoch whose network it begins with; None: that of its begin.
        watched: By how much held-out information may fall by the noise of SGD, in nats, where held-out examples stay
            held out, to see whether the network overfits. None: they do not.
        again: Whether it began because the network overfits in a decay. The next time the run is over.
    """

    begin: int
    end: float | int
    held: float
    why: str
    back: int | None = None
    watched: float | None = None
    again: bool = False


def decaying(rule: Rule, observed: Observed, decay: Decay) -> Decision:
    """The decision for an epoch of a decay. Of the rule its shape is read."""
    epoch, bounds, time = observed.epoch, observed.bounds, observed.time
    held, begin, end, epochs = decay.held, decay.begin, decay.end, decay.end - decay.begin
    back = decay.back if epoch == begin + 1 else None
    if epoch - 1 >= end:
        return finished(observed, end, back)
    # A plan in steps may end within a unit of time.
    last = min(epoch, end)
    if rule.shape is None:
        lr = held * (end - (epoch - 1 + last) / 2) / epochs
        falls_by = held * (last - epoch + 1) / epochs
    else:
        ends = ((epoch - 1 - begin) / epochs, (last - begin) / epochs)
        lr = held * _shaped(rule.shape, (ends[0] + ends[1]) / 2)
        falls_by = held * (_shaped(rule.shape, ends[0]) - _shaped(rule.shape, ends[1]))
    # After a roll-back, perhaps after the decay began, that moment has another number.
    since = "" if observed.rolled_back else f" since {time(begin + (observed.unit is None))}"
    how = " by momentum" if rule.lowers_momentum else ""
    why = f"decaying{how}{since}, to end with {time(end)}: {decay.why}"
    if lr <= bounds.lr_min:
        lr, falls_by, why = bounds.lr_min, 0.0, f"{why}; at the floor lr_min = {bounds.lr_min:g}"
    part = float(last - epoch + 1)
    stays = held if rule.lowers_momentum else None
    return Decision(lr, "decay", why, -falls_by, back, decay.watched is not None, part, stays)


def finished(observed: Observed, end: float | int, back: int | None = None) -> Decision:
    """The run is over after epoch `end`, with the network of the epoch `back`; None: with that of its end."""
    return Decision(observed.bounds.lr_min, "finished", f"finished after {observed.time(end)}", back=back)


def _shaped(shape: Callable[[float], float], over: float) -> float:
    """The share of the held rate where this share of the decay phase is over."""
    return number(f"shape({over:.3g})", shape(over))
