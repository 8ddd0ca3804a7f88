"""Optimizers that have one rule for a whole group of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Groupwise(Optimizer, ABC):
    """A subclass moves one group at a time, and only weights that have a gradient."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the weights along their gradients."""
        for group in self.param_groups:
            held = [p for p in group["params"] if p.grad is not None]
            if held:
                self._step(group, held)

    @abstractmethod
    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """Move the weights of one group; all of them have a gradient."""
