"""The roll-back: whether an epoch made the network diverge or collapse, and the weights as they were before it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from infopace._checks import share, warn
from infopace.model.layers import parameters_of
from infopace.model.snapshot import (
    Buffers,
    Contents,
    OptimizerState,
    Thawing,
    Weights,
    contents_of,
    where_to_keep,
)
from infopace.probe import Measurement
from infopace.scheduler._ledger import Ledger
from infopace.scheduler._steps import call_before_steps, with_hooks
from infopace.scheduler._subject import Subject

# So many epochs in a row are rolled back until an error says that no rate helps: at lr_min, and at any rate. Halved ten
# times, a rate is a thousandth: no range test is that wrong.
_MOST_AT_LR_MIN, _MOST = 3, 10
# After so many a warning comes.
_WARNED = 3


@dataclass(frozen=True)
class RollBack:
    """When an epoch, or unit of steps, is rolled back, and what that leaves of the bounds.

    Diverged: a weight or an output is no longer finite, or the weights are so large that the earlier ones are rounding
    errors beside them. Collapsed: the outputs carry less than half of the information they had before, and no more than
    before training (the 95 % intervals now and before do not meet, and the one now reaches down to that of the
    untrained network, or to 0). What was not finite from the start does not count, and weights that begin at zero may
    grow as large as others are.

    Weights, buffers and the optimizer's state return to the beginning of the epoch, or to the best network where one is
    kept, since what came after it may have been harmed already. The bounds were too high. So from then on lr_top and
    lr_max are half of what they were, but never below lr_min. The policy sees no value of such an epoch, only that
    there was one (`Observed.rolled_back`). Where epoch after epoch is rolled back, RollBackError says so.
    `studies/bounds_too_high` moves both thresholds.

    Attributes:
        left: An epoch that leaves more than this share of the information is not rolled back.
        lowered: lr_top and lr_max are multiplied by this with each epoch that is rolled back.

    Raises:
        ValueError: a share that is not above 0 and at most 1.
    """

    left: float = 0.5
    lowered: float = 0.5

    def __post_init__(self) -> None:
        for name in ("left", "lowered"):
            object.__setattr__(self, name, share(name, getattr(self, name)))


class RollBackError(RuntimeError):
    """Epoch after epoch was rolled back, at lower and lower learning rates: the rate is not to blame.

    The weights are those of before the last of these epochs.
    """


class LastEpoch:
    """Trainable weights, buffers, optimizer state and what else is named, as they were when an epoch began.

    Weights and state are copied before the first step after `keep`. So a resumed run may load its parts in any order.
    The buffers have seen the first batch by then, so those of `keep` are kept; where the weights were loaded since,
    those of the first step. For a model on a GPU all copies lie in the computer's memory.

    A copy, deep or by pickle, follows the copied optimizer.

    Raises:
        ValueError: an optimizer whose steps cannot be followed.
        TypeError: something among `also` that has no state.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, also: Sequence[Any] = ()) -> None:
        self._model, self._optimizer, self._also = model, optimizer, tuple(also)
        self._kept: tuple[Weights, list[Contents]] | None = None
        self._added: list[Weights] = []
        self._thawing = Thawing(optimizer)
        if not with_hooks(optimizer):
            raise ValueError(
                f"steps of {type(optimizer).__name__} cannot be followed; give roll_back=False to do without"
            )
        for holder in self._also:
            contents_of(holder)
        self.keep()
        self._follow()

    def __getstate__(self) -> dict[str, Any]:
        # Copied weights count their changes anew.
        weights = [weight for weight, _ in self._versions] if self._is_fresh() else []
        return {**self.__dict__, "_versions": weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Not by way of the model: one that holds its scheduler is not whole yet.
        self._versions = [(weight, weight._version) for weight in state["_versions"]]
        self._follow()

    @property
    def known(self) -> bool:
        """Whether steps were taken since `keep`."""
        return self._kept is not None

    def divergence(self) -> str | None:
        """How the weights have diverged; None: they have not."""
        if self._kept is None:
            return None
        weights = self._kept[0]
        if weights.newly_not_finite:
            return "a weight is not finite"
        now, before = weights.norm_now, weights.norm
        # Beside such weights the earlier ones are less than a rounding error. Weights that begin at or near zero have
        # nothing to lose: they may grow as large as others are from the start.
        if now * torch.finfo(torch.float32).eps > max(before, weights.unit_norm):
            return f"the norm of the weights is {now:.2g}, {before:.2g} before it"
        return None

    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Keep these too, which the optimizer holds from now on: the copies of an epoch that has begun lack them."""
        if self.known:
            self._added.append(Weights(parameters, torch.device("cpu")))

    def keep(self) -> None:
        """An epoch is over, or a state was loaded, and the next begins."""
        self._kept, self._added = None, []
        self._buffers, self._versions = Buffers(self._model, where_to_keep(self._model)), self._version()

    def put_back(self) -> None:
        """All as it was when the epoch began."""
        assert self._kept is not None, "steps were taken"
        weights, others = self._kept
        for part in (weights, *others, *self._added):
            part.put_back()
        self.keep()

    def _follow(self) -> None:
        self._followed = with_hooks(self._optimizer)
        call_before_steps(self._followed, weakref.WeakMethod(self._before), self)

    def _before(self, optimizer: Optimizer) -> None:
        # The hooks of an optimizer that was copied with them see the copy's steps.
        if not any(optimizer is one for one in self._followed):
            return
        if self._kept is not None:
            if thawed := self._thawing.lacking((self._kept[0], *self._added)):
                self._added.append(Weights(thawed, where_to_keep(self._model)))
            return
        self._thawing.copied()
        keep_on = where_to_keep(self._model)
        self._kept = (
            Weights([weight for weight in parameters_of(self._model) if weight.requires_grad], keep_on),
            [
                self._buffers if self._is_fresh() else Buffers(self._model, keep_on),
                OptimizerState(self._optimizer, keep_on),
                *(part for holder in self._also for part in contents_of(holder, keep_on)),
            ],
        )

    def _version(self) -> list[tuple[nn.Parameter, int]]:
        """It changes with every change in place, and with every weight that replaces another."""
        return [(weight, weight._version) for weight in parameters_of(self._model)]

    def _is_fresh(self) -> bool:
        """Whether no weight has changed since `keep`."""
        now, then = self._version(), self._versions
        return len(now) == len(then) and all(
            a is b and one == other for (a, one), (b, other) in zip(now, then, strict=True)
        )


def collapse(subject: Subject, now: Measurement, before: float, first: float, left: float) -> str | None:
    """How the information in the outputs has collapsed, given that before and at first, in nats; None: it has not.

    Collapsed: at most the share `left` of before remains, significantly less, and no more than before training. Error
    bars are computed only where that little remains.
    """
    nats = now.output.estimate.nats
    if before <= 0 or nats > left * before:
        return None
    low, high = subject.measure(layers="output", std_error=True).output.estimate.interval
    # Not so either where the interval is nan.
    if not (low <= max(first, 0.0) and high < before - (high - nats)):
        return None
    return f"the outputs carry {nats:.2g} nats, {before:.3g} before it and {first:.3g} at first"


def check_that_a_rate_may_help(ledger: Ledger, why: str) -> None:
    """Raise RollBackError where too many units of time in a row were rolled back, and warn before.

    The ledger ends with the decisions for the one that has just been put back, for the reason `why`.
    """
    decided = ledger.decided
    last = first = len(decided)
    while first - 1 in ledger.rolled_back:
        first -= 1
    lowest = all(one.lr <= ledger.bounds_of(layer).lr_min for layer, one in decided[-1].items())
    what = "epochs" if ledger.unit is None else f"units of {ledger.unit} steps,"
    why = " ".join(why.split())
    if last - first + 1 < (_MOST_AT_LR_MIN if lowest else _MOST):
        if last - first + 1 == _WARNED:
            warn(f"{what} {first} to {last} were rolled back one after the other, the last because {why}")
        return
    highest, least = (max(one.lr for one in decided[epoch - 1].values()) for epoch in (first, last))
    raise RollBackError(
        f"{what} {first} to {last} were rolled back one after the other, at learning rates from "
        f"{highest:.3g} to {least:.3g}, and no rate helps; the last because {why}; check the data and the loss for "
        "nan or inf, and the model in evaluation mode"
    )
