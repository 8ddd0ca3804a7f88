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

from infopace._contents import Contents, norm_of
from infopace.probe import Measurement, Probe

# Set on an optimizer whose steps are no training.
_UNTOLD = "_infopace_untold"


class LastEpoch:
    """Weights, buffers and optimizer state before the first step since `forget`, kept when that is about to be taken.

    So it does not matter in which order a resumed run loads its parts. Of a model on a GPU they are kept in the
    computer's own memory.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._model, self._optimizer = model, optimizer
        self._kept: Contents | None = None
        me = weakref.ref(self)

        def keep(optimizer: Optimizer, *_: Any) -> None:
            it = me()
            if it is not None and not getattr(optimizer, _UNTOLD, False):
                it._keep()

        weakref.finalize(self, optimizer.register_step_pre_hook(keep).remove)

    @property
    def known(self) -> bool:
        """Whether steps were taken since `forget`."""
        return self._kept is not None

    @property
    def ruin(self) -> str:
        """What has become of the weights, where that is their ruin; otherwise ""."""
        if self._kept is None:
            return ""
        now, before = norm_of(self._model.parameters()), self._kept.weight_norm
        if not math.isfinite(now):
            return "a weight is not finite"
        # Beside such weights those of before are less than a rounding error: nothing of them is left.
        if now * torch.finfo(torch.float32).eps > before:
            return f"the norm of the weights is {now:.2g}, {before:.2g} before it"
        return ""

    def forget(self) -> None:
        """The epoch is over, and its weights stay."""
        self._kept = None

    def put_back(self) -> None:
        """The weights as they were when the epoch began."""
        assert self._kept is not None, "steps were taken"
        self._kept.put_back()
        self._kept = None

    def _keep(self) -> None:
        if self._kept is None:
            on_gpu = any(weight.device.type != "cpu" for weight in self._model.parameters())
            self._kept = Contents(
                self._model, self._optimizer, keep_on=torch.device("cpu") if on_gpu else None
            )


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
    if low > max(untrained, 0.0) or before - (high - nats) <= high:
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
