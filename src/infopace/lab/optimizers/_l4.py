"""L4: a fraction of the step that would bring a linear loss to its minimum."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class L4Mom(Optimizer):
    """Gradient descent along the averaged gradient, by a step that follows what the loss still has to lose.

    With the loss L of the batch and its gradient g, averaged to m with weight 0.1 and corrected for its start at 0,

        eta = lr (L - 0.9 Lmin) / (<m, m> + 1e-12)
        w  <- w - eta m

    where <.,.> runs over all weights. In L4Mom the direction and the estimate of the gradient are the same m. Lmin is
    0.75 L at the first batch and then min(Lmin, L). It grows by 1/1000 after every batch, so that one batch with a low
    loss is forgotten. The constants are the published ones.

    Rolínek, Martius (2018), L4: Practical loss-based stepsize adaptation for deep learning, arXiv:1802.05074.

    A group's "d" is eta / lr of the latest batch (1 before the first). All groups share one eta.

    Args:
        params: Weights, or groups of them.
        lr: The fraction, alpha.
        weight_decay: Factor of the penalty weight_decay |w|^2 / 2. L does not include it.
    """

    _AVERAGE, _ACHIEVABLE, _FIRST, _FORGET, _EPS = 0.9, 0.9, 0.75, 1e-3, 1e-12

    def __init__(self, params: Iterable[Tensor], lr: float = 0.15, *, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "d": 1.0, "t": 0, "lowest": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the weights. `closure` returns the loss that the present gradients belong to."""
        loss = float(closure())
        first = self.param_groups[0]
        t, lowest = first["t"] + 1, min(first["lowest"], loss) if first["t"] else self._FIRST * loss
        moves: list[tuple[Tensor, Tensor, float]] = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["average"] = torch.zeros_like(p)
                grad = p.grad.add(p, alpha=group["weight_decay"])
                average = state["average"].lerp_(grad, 1 - self._AVERAGE)
                moves.append((p, average / (1 - self._AVERAGE**t), group["lr"]))
        squares = float(torch.stack([m.double().square().sum() for _, m, _ in moves]).sum()) if moves else 0.0
        d = (loss - self._ACHIEVABLE * lowest) / (squares + self._EPS)
        for p, m, lr in moves:
            p.sub_(m, alpha=lr * d)
        for group in self.param_groups:
            group.update(t=t, d=d, lowest=(1 + self._FORGET) * lowest)
        return loss
