"""The steps of an optimizer since the last observation, and the learning rates at which they were taken."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infopace.model.snapshot import norm_of, optimizers_in
from infopace.scheduler._roll_back import _UNTOLD


class OptimizerSteps:
    """Counts steps by a hook, with roll-back or without.

    Steps that GradScaler skips are none, and neither are those of a range test. Where the hook sees no step, of an
    optimizer that has none or of a replayed CUDA graph, weights that have changed tell that there were some.

    Args:
        optimizer: The optimizer.
        model: The plain model.
        at_first: Called as the first step since `begin` is about to be taken, and whenever there are more groups.

    Attributes:
        taken: Steps that the hook has seen since `begin`.
        first_rates: The groups' learning rates at the first of them; None before it.
        last_rates: The same at the last of them; of rates that are tensors, those of the first.
        applied: The rates that the scheduler has set for the coming epoch; None: another drives it for now.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module, at_first: Callable[[], None]) -> None:
        self._optimizer, self._model, self._at_first = optimizer, model, at_first
        self.applied: list[float] | None = None
        self._follow()
        self.begin()

    def begin(self) -> None:
        """An epoch has been observed, or a state was loaded: the next begins."""
        self.taken, self.applied = 0, None
        self.first_rates: list[float] | None = None
        self.last_rates: list[float] | None = None
        self._norm, self._groups = self._norm_now(), len(self._optimizer.param_groups)

    @property
    def any(self) -> bool:
        """Whether the model was trained since `begin`."""
        return self.taken > 0 or self._norm_now() != self._norm

    def rates(self) -> list[float]:
        """The learning rate of each group, now."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies of an optimizer have no hooks.
        self.__dict__.update(state)
        self._follow()

    def _follow(self) -> None:
        followed = self._followed()
        if followed is None:
            return
        me = weakref.ref(self)

        def before(optimizer: Optimizer, *_: Any) -> None:
            it = me()
            # Of an optimizer that is copied with its hooks, the steps are another's.
            if it is not None and optimizer is it._followed() and not getattr(optimizer, _UNTOLD, False):
                it._before()

        weakref.finalize(self, followed.register_step_pre_hook(before).remove)

    def _followed(self) -> Optimizer | None:
        """The optimizer, or the first inside it where it is a wrapper that is one in name only."""
        hooked = (one for one in optimizers_in(self._optimizer) if hasattr(one, "_optimizer_step_pre_hooks"))
        return next(hooked, None)

    def _before(self) -> None:
        self.taken += 1
        groups = self._optimizer.param_groups
        tensors = any(isinstance(group["lr"], Tensor) for group in groups)
        if tensors and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
            return  # no number can be read while a graph is captured
        if self.first_rates is None or len(groups) != self._groups:
            self._groups = len(groups)
            self._at_first()
            self.last_rates = self.rates()
            before = self.first_rates or []
            self.first_rates = [*before, *self.last_rates[len(before) :]]
        elif not tensors:  # to read one waits for its device
            self.last_rates = self.rates()

    def _norm_now(self) -> float:
        weights = [p for p in self._model.parameters() if p.is_floating_point() or p.is_complex()]
        return norm_of(torch.view_as_real(p.detach()) if p.is_complex() else p for p in weights)
