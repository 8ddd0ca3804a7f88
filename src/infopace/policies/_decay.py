"""The rates of a hold and of the decay after it, as `HoldAndDecay` has them with a plan and without."""

from __future__ import annotations

from collections.abc import Callable
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


def middle(rule: Rule, bounds: Bounds) -> float:
    """The rate that is held: between LR_top and LR_max, on a log scale."""
    held = bounds.lr_top ** (1 - rule.middle) * bounds.lr_max**rule.middle
    return min(max(held, bounds.lr_top), bounds.lr_max)  # where the two are one, rounding may leave them


def decaying(
    rule: Rule,
    observed: Observed,
    held: float,
    begin: int,
    end: float | int,
    why: str,
    back: int | None = None,
) -> Decision:
    """The decision for an epoch of the decay from the rate `held`, which begins after `begin` epochs.

    Args:
        rule: Its shape is read.
        observed: What was observed.
        held: The rate that was held.
        begin: Epochs that were over when the decay began.
        end: The last epoch.
        why: Why the decay began.
        back: The epoch whose network it begins with; None: that of the hold's end.
    """
    epoch, bounds, time, epochs = observed.epoch, observed.bounds, observed.time, end - begin
    if epoch - 1 >= end:
        return finished(observed, end)
    if rule.shape is None:
        lr = held * (end - epoch + 0.5) / epochs
        falls_by = held / epochs
    else:
        over = (epoch - begin - 0.5) / epochs
        lr = held * _shaped(rule.shape, over)
        ends = (max(over - 0.5 / epochs, 0.0), min(over + 0.5 / epochs, 1.0))
        falls_by = held * (_shaped(rule.shape, ends[0]) - _shaped(rule.shape, ends[1]))
    # After a roll-back, perhaps after the decay began, that moment has another number.
    since = "" if observed.rolled_back else f" since {time(begin + (observed.unit is None))}"
    why = f"decaying{since}, to end with {time(end)}: {why}"
    back = back if epoch == begin + 1 else None
    if lr <= bounds.lr_min:
        return Decision(bounds.lr_min, "decay", f"{why}; at the floor lr_min = {bounds.lr_min:g}", back=back)
    return Decision(lr, "decay", why, change=-falls_by, back=back)


def finished(observed: Observed, end: float | int) -> Decision:
    """The run is over after epoch `end`."""
    return Decision(observed.bounds.lr_min, "finished", f"finished after {observed.time(end)}")


def _shaped(shape: Callable[[float], float], over: float) -> float:
    """The share of the held rate where this share of the decay phase is over."""
    return number(f"shape({over:.3g})", shape(over))
