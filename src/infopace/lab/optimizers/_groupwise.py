"""Optimizers whose rule is one for a whole group of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Groupwise(Optimizer, ABC):
    """A step that a subclass takes group by group, for those of its weights that hold a gradient."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the weights along the gradients that they hold."""
        for group in self.param_groups:
            held = [p for p in group["params"] if p.grad is not None]
            if held:
                self._step(group, held)

    @abstractmethod
    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """Move the weights of one group, all of which hold a gradient."""
