"""ABEL: the learning rate is cut where the norm of the weights has bounced."""

from __future__ import annotations

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class ABEL(LRScheduler):
    """Multiply the rate by a factor where the squared norm of the weights turns again, and once near the end.

    With n_e = sum |w|^2 after epoch e (n_0 before the first), the norm turns in epoch e if

        (n_e - n_{e-1}) (n_{e-1} - n_{e-2}) < 0

    With a weight decay it falls to a minimum and rises again; that is the first turn. At the next one the rate is cut,
    and the count starts anew. Whatever the norm does, the rate is also cut after the share `last` of the epochs.

    Lewkowycz (2021), How to decay your learning rate, arXiv:2103.12682. The count of two turns is that of public ports
    of it, and the share 0.85 is our reading: the paper leaves it open.

    Args:
        optimizer: Any torch optimizer; `step` after every epoch.
        epochs: Planned number of epochs.
        factor: Of each cut.
        last: Share of the epochs after which the last cut comes.

    Raises:
        ValueError: fewer than one epoch, or a factor or share outside (0, 1).
    """

    def __init__(self, optimizer: Optimizer, epochs: int, *, factor: float = 0.1, last: float = 0.85) -> None:
        if epochs < 1:
            raise ValueError(f"epochs must be >= 1, got {epochs}")
        for name, value in (("factor", factor), ("last", last)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be in (0, 1), got {value}")
        self.factor, self.final = factor, max(1, round(last * epochs))
        self.norms: list[float] = []
        self.turned = False
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The rate of each group for the next epoch."""
        self.norms = [*self.norms[-2:], self._norm()]
        turns = len(self.norms) == 3 and bounces(self.norms)
        cut = (turns and self.turned) or self.last_epoch == self.final
        self.turned ^= turns
        return [float(group["lr"]) * (self.factor if cut else 1) for group in self.optimizer.param_groups]

    @torch.no_grad()
    def _norm(self) -> float:
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        return float(torch.stack([weight.double().square().sum() for weight in weights]).sum())


def bounces(norms: list[float]) -> bool:
    """Whether the middle one of three norms is a strict minimum or maximum."""
    before, now, after = norms
    return (after - now) * (now - before) < 0
