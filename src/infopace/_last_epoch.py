"""An epoch that ruined the network: how it is told, and the weights as they were before it."""

from __future__ import annotations

import contextlib
import copy
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from infopace._contents import Buffers, OptimizerState, Weights, norm_of
from infopace.probe import Measurement, Probe

# Set on an optimizer whose steps are no training.
_UNTOLD = "_infopace_untold"


class LastEpoch:
    """Trainable weights, buffers and optimizer state as they were when an epoch began.

    Weights and state are kept as the first step since `forget` is about to be taken, so it does not matter in which
    order a resumed run loads its parts. The buffers have seen the first batch by then: those of `forget` are kept, or,
    where the weights have been loaded since, those of that step. Of a model on a GPU all lie in the computer's memory.

    Raises:
        ValueError: an optimizer whose steps cannot be followed.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        followed = optimizer
        if not hasattr(optimizer, "_optimizer_step_pre_hooks"):  # a wrapper that is one in name
            followed = getattr(optimizer, "optimizer", None)
        if not isinstance(followed, Optimizer):
            raise ValueError(
                f"steps of {type(optimizer).__name__} cannot be followed; give undo=False to do without"
            )
        self._model, self._optimizer = model, followed
        self._kept: tuple[Weights, Buffers, OptimizerState] | None = None
        self.forget()
        me = weakref.ref(self)

        def keep(optimizer: Optimizer, *_: Any) -> None:
            it = me()
            if it is not None and not getattr(optimizer, _UNTOLD, False):
                it._keep()

        weakref.finalize(self, followed.register_step_pre_hook(keep).remove)

    @property
    def known(self) -> bool:
        """Whether steps were taken since `forget`."""
        return self._kept is not None

    @property
    def ruin(self) -> str:
        """What has become of the weights, where that is their ruin; otherwise ""."""
        if self._kept is None:
            return ""
        now, before = norm_of(self._weights()), self._kept[0].norm
        if not math.isfinite(now):
            return "a weight is not finite"
        # Beside such weights those of before are less than a rounding error: nothing of them is left.
        if now * torch.finfo(torch.float32).eps > before:
            return f"the norm of the weights is {now:.2g}, {before:.2g} before it"
        return ""

    def forget(self) -> None:
        """An epoch is over, or a state was loaded, and the next begins."""
        self._kept = None
        self._buffers, self._versions = Buffers(self._model, self._elsewhere()), self._version()

    def put_back(self) -> None:
        """All as it was when the epoch began."""
        assert self._kept is not None, "steps were taken"
        for part in self._kept:
            part.put_back()
        self.forget()

    def _keep(self) -> None:
        if self._kept is None:
            elsewhere = self._elsewhere()
            fresh = self._version() == self._versions
            buffers = self._buffers if fresh else Buffers(self._model, elsewhere)
            self._kept = (
                Weights(self._weights(), elsewhere),
                buffers,
                OptimizerState(self._optimizer, elsewhere),
            )

    def _weights(self) -> list[nn.Parameter]:
        return [weight for weight in self._model.parameters() if weight.requires_grad]

    def _version(self) -> list[int]:
        """It changes with every change in place."""
        return [weight._version for weight in self._model.parameters()]

    def _elsewhere(self) -> torch.device | None:
        on_gpu = any(weight.device.type != "cpu" for weight in self._model.parameters())
        return torch.device("cpu") if on_gpu else None


def lost_all(probe: Probe, model: nn.Module, now: Measurement, history: Sequence[float], left: float) -> str:
    """Why the outputs tell nothing any more, after a history of what they told; "" where they do.

    Nothing: less than the share `left` of before, visibly, and no more than untrained. Only where that much is gone the
    error bars are made.
    """
    untrained, before, nats = history[0], history[-1], now.output.estimate.nats
    if before <= 0 or nats > left * before:
        return ""
    exact = copy.copy(probe)
    exact.layers, exact.std_error = "output", True
    low, high = exact.measure(model).output.estimate.interval
    if not (
        low <= max(untrained, 0.0) and high < before - (high - nats)
    ):  # nor where the interval is not known
        return ""
    return f"the outputs tell {nats:.2g} nats, {before:.3g} before it and {untrained:.3g} untrained"


@contextlib.contextmanager
def untold(optimizer: Optimizer) -> Iterator[None]:
    """The steps inside are no training: they are put back."""
    setattr(optimizer, _UNTOLD, True)
    try:
        yield
    finally:
        delattr(optimizer, _UNTOLD)
