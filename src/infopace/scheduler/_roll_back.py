"""An epoch that ruined the network: how it is told, and the weights as they were before it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from infopace.model.snapshot import Buffers, Contents, OptimizerState, Weights, contents_of, optimizers_in
from infopace.policies import Decision
from infopace.probe import Measurement, Measuring, Probe

# Set on an optimizer whose steps are no training.
_UNTOLD = "_infopace_untold"
# Epochs in a row that are rolled back until it is said that no rate helps: where lr_min was reached, and otherwise.
# A thousandth of a rate is further than any range test is wrong.
_FEW, _MANY = 3, 10


class RollBackError(RuntimeError):
    """Epoch after epoch was rolled back, at lower and lower learning rates: the rate is not to blame.

    The weights are those of before the last of these epochs.
    """


class LastEpoch:
    """Trainable weights, buffers, optimizer state and what else is asked for as they were when an epoch began.

    Weights and state are kept as the first step since `forget` is about to be taken, so it does not matter in which
    order a resumed run loads its parts. The buffers have seen the first batch by then: those of `forget` are kept, or,
    where the weights have been loaded since, those of that step. Of a model on a GPU all lie in the computer's memory.

    A copy, deep or by pickle, follows the copied optimizer.

    Raises:
        ValueError: an optimizer whose steps cannot be followed.
        TypeError: something among `also` that holds nothing to be kept.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, also: Sequence[Any] = ()) -> None:
        self._model, self._optimizer, self._also = model, optimizer, tuple(also)
        self._kept: tuple[Weights, list[Contents]] | None = None
        if not self._followed:
            raise ValueError(
                f"steps of {type(optimizer).__name__} cannot be followed; give roll_back=False to do without"
            )
        for holder in self._also:
            contents_of(holder)
        self.forget()
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
        """Whether steps were taken since `forget`."""
        return self._kept is not None

    @property
    def ruin(self) -> str:
        """What has become of the weights, where that is their ruin; otherwise ""."""
        if self._kept is None:
            return ""
        weights = self._kept[0]
        if weights.newly_not_finite:
            return "a weight is not finite"
        now, before = weights.norm_now, weights.norm
        # Beside such weights those of before are less than a rounding error: nothing of them is left. Weights that
        # begin at zero, or near it, have nothing to lose; they may grow as large as others are from the start.
        if now * torch.finfo(torch.float32).eps > max(before, weights.unit_norm):
            return f"the norm of the weights is {now:.2g}, {before:.2g} before it"
        return ""

    def forget(self) -> None:
        """An epoch is over, or a state was loaded, and the next begins."""
        self._kept = None
        self._buffers, self._versions = Buffers(self._model, self._elsewhere()), self._version()

    def put_back(self) -> None:
        """All as it was when the epoch began."""
        assert self._kept is not None, "steps were taken"
        weights, others = self._kept
        for part in (weights, *others):
            part.put_back()
        self.forget()

    def _keep(self) -> None:
        if self._kept is None:
            elsewhere = self._elsewhere()
            buffers = self._buffers if self._is_fresh() else Buffers(self._model, elsewhere)
            self._kept = (
                Weights(self._weights(), elsewhere),
                [
                    buffers,
                    OptimizerState(self._optimizer, elsewhere),
                    *(part for holder in self._also for part in contents_of(holder, elsewhere)),
                ],
            )

    def _follow(self) -> None:
        """Hear of the steps that are taken from now on. Torch copies an optimizer without its hooks."""
        me = weakref.ref(self)

        def keep(optimizer: Optimizer, *_: Any) -> None:
            it = me()
            # Of an optimizer that is copied with its hooks, the steps are another's.
            if it is None or getattr(optimizer, _UNTOLD, False):
                return
            if any(optimizer is one for one in it._followed):
                it._keep()

        for one in self._followed:
            weakref.finalize(self, one.register_step_pre_hook(keep).remove)

    @property
    def _followed(self) -> list[Optimizer]:
        """The optimizer and those inside it, without wrappers that are one in name only."""
        return [one for one in optimizers_in(self._optimizer) if hasattr(one, "_optimizer_step_pre_hooks")]

    def _weights(self) -> list[nn.Parameter]:
        return [weight for weight in self._model.parameters() if weight.requires_grad]

    def _version(self) -> list[tuple[nn.Parameter, int]]:
        """It changes with every change in place, and with every weight that takes the place of another."""
        return [(weight, weight._version) for weight in self._model.parameters()]

    def _is_fresh(self) -> bool:
        """Whether no weight has changed since `forget`."""
        now, then = self._version(), self._versions
        return len(now) == len(then) and all(
            a is b and one == other for (a, one), (b, other) in zip(now, then, strict=True)
        )

    def _elsewhere(self) -> torch.device | None:
        on_gpu = any(weight.device.type != "cpu" for weight in self._model.parameters())
        return torch.device("cpu") if on_gpu else None


def no_rate_helps(
    decisions: Sequence[Sequence[Decision]], rolled_back: Sequence[int], lr_mins: Sequence[float]
) -> str:
    """Which epochs in a row were rolled back at which rates, the last decided included, if they are too many; or "".

    Args:
        decisions: Of each epoch, up to the one that has just been rolled back, those of all groups.
        rolled_back: The epochs before it, from 1, that were rolled back.
        lr_mins: The least rate of each group.
    """
    last = first = len(decisions)
    while first - 1 in rolled_back:
        first -= 1
    lowest = all(one.lr <= lr_min for one, lr_min in zip(decisions[-1], lr_mins, strict=True))
    if last - first + 1 < (_FEW if lowest else _MANY):
        return ""
    highest, least = (max(one.lr for one in decisions[epoch - 1]) for epoch in (first, last))
    return (
        f"epochs {first} to {last} were rolled back one after the other, at learning rates from "
        f"{highest:.3g} to {least:.3g}, and no rate helps"
    )


def lost_all(
    probe: Probe,
    model: nn.Module,
    measuring: Measuring,
    now: Measurement,
    history: Sequence[float],
    left: float,
) -> str:
    """Why the outputs tell nothing any more, after a history of what they told; "" where they do.

    Nothing: less than the share `left` of before, visibly, and no more than untrained. Only where that much is gone the
    error bars are made.
    """
    untrained, before, nats = history[0], history[-1], now.output.estimate.nats
    if before <= 0 or nats > left * before:
        return ""
    exact = measuring.replace(layers="output", std_error=True)
    low, high = probe.measure(model, exact).output.estimate.interval
    if not (
        low <= max(untrained, 0.0) and high < before - (high - nats)
    ):  # nor where the interval is not known
        return ""
    return f"the outputs tell {nats:.2g} nats, {before:.3g} before it and {untrained:.3g} untrained"


@contextlib.contextmanager
def untold(optimizer: Optimizer) -> Iterator[None]:
    """The steps inside are no training: they are put back."""
    inside = optimizers_in(optimizer)
    for one in inside:
        setattr(one, _UNTOLD, True)
    try:
        yield
    finally:
        for one in inside:
            delattr(one, _UNTOLD)
