"""DoG: SGD whose rate is the distance from the start over the norm of all gradients so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from infopace.lab.optimizers._groupwise import Groupwise


class DoG(Groupwise):
    """Gradient descent that finds its rate, with an average of the weights.

    With the weights w_t of batch t = 0, 1, ..., their gradients g_t and norms over all weights of a group,

        r_t     = max(r_{t-1}, |w_t - w_0|),  r_0 = first_distance (1 + |w_0|)
        eta_t   = lr r_t / sqrt(sum_{i <= t} |g_i|^2 + 1e-8)
        w_{t+1} = w_t - eta_t g_t
        mean   <- mean + 9 / (t + 9) (w_{t+1} - mean)

    The last line is polynomial averaging (Shamir, Zhang 2013) with gamma = 8. The result is the mean, not w
    (`take_average`).

    Ivgi, Hinder, Carmon (2023), DoG is SGD's best friend, arXiv:2302.12022. The authors' package stops with an
    assertion where a gradient is not finite, and cannot resume on a GPU.

    A group's "d" is eta / lr of the latest batch. Before the first batch it is r_0.

    Args:
        params: Weights, or groups of them.
        lr: Multiplies the rate; the published value is 1.
        first_distance: Relative length of the first step. The authors advise 1e-6, or 1e-4 with batch norm.
        weight_decay: Factor of the penalty weight_decay |w|^2 / 2.
    """

    _GAMMA, _EPS = 8, 1e-8

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        *,
        first_distance: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "t": 0})
        for group in self.param_groups:
            norm = _norm([p.detach() for p in group["params"]])
            group["d"] = group["distance"] = first_distance * (1 + norm)
            group["squares"] = torch.full_like(norm, self._EPS)

    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                state.update(start=p.clone(), mean=p.clone())
        grads = [p.grad.add(p, alpha=group["weight_decay"]) for p in params if p.grad is not None]
        gone = _norm([p - state["start"] for p, state in zip(params, states, strict=True)])
        group["distance"] = torch.maximum(group["distance"], gone)
        group["squares"] = group["squares"] + _norm(grads).square()
        group["d"] = group["distance"] / group["squares"].sqrt()
        weight = (self._GAMMA + 1) / (group["t"] + self._GAMMA + 1)
        for p, grad, state in zip(params, grads, states, strict=True):
            p.sub_(grad * (group["lr"] * group["d"]))
            state["mean"].lerp_(p, weight)
        group["t"] += 1

    @torch.no_grad()
    def take_average(self) -> None:
        """Replace the weights by the mean; the weights are lost. Before the first step nothing changes."""
        for p, state in self.state.items():
            p.copy_(state["mean"])


def _norm(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.norm() for tensor in tensors]).norm()
