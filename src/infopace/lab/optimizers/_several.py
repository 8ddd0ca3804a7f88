"""Several optimizers as one, each with weights of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class Several(Optimizer):
    """Optimizers that step together, such as Muon for some weights and AdamW for the others.

    Its parameter groups are theirs, the first optimizer's first. So a schedule that sets the learning rates of its
    groups sets theirs. The state stays in each.

    Attributes:
        optimizers: The optimizers.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = list(optimizers)
        super().__init__(self._their_groups(), {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Step each optimizer, after the backward pass. A closure is not called."""
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of each optimizer."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state. Raises ValueError if it is of another number of optimizers."""
        states = state_dict.get("optimizers", [])
        if len(states) != len(self.optimizers):
            raise ValueError(
                f"the state must be that of {len(self.optimizers)} optimizers, got {len(states)} of them"
            )
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = self._their_groups()  # torch makes new ones when it loads

    def _their_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]
