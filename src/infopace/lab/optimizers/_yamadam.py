"""YamAdam: an Adam that finds the scale of its steps, so that there is no learning rate to choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from infopace.lab.optimizers._groupwise import Groupwise


class YamAdam(Groupwise):
    """Momentum, divided by the variation of the gradient and multiplied by the size of recent steps.

    With the gradient g and e = 1e-6, for each weight (b is one number), all starting at 0:

        v <- b v + (1 - b) (g - m)^2
        m <- b m + (1 - b) g
        s <- b s + (1 - b) h^2
        h' = m sqrt((s + e) / (v + e))
        w <- w - lr h'
        b <- sigmoid((|h|_1 + e) / (|h'|_1 + e)) - e,  h <- h'

    The norms |.|_1 run over all weights of a group [reading]. The published rule has no lr; it is 1.

    Yamada (2018), in the form that Vasudevan (2020) compares with.

    A group's "d" is the mean of sqrt((s + e) / (v + e)) over its weights at the latest batch (1 before the first).

    Args:
        params: Weights, or groups of them.
        lr: Multiplies every step.
        weight_decay: Factor of the penalty weight_decay |w|^2 / 2.
    """

    _EPS = 1e-6

    def __init__(self, params: Iterable[Tensor], lr: float = 1.0, *, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "d": 1.0, "b": 0.0})

    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        e, b = self._EPS, torch.as_tensor(group["b"], device=params[0].device)
        sums: list[Tensor] = []
        for p in params:
            assert p.grad is not None, "the caller has checked"
            state = self.state[p]
            if not state:
                state.update({name: torch.zeros_like(p) for name in "vmsh"})
            v, m, s, h = (state[name] for name in "vmsh")
            share = (1 - b).to(p.dtype)
            grad = p.grad.add(p, alpha=group["weight_decay"])
            v.lerp_((grad - m).square_(), share)
            m.lerp_(grad, share)
            s.lerp_(h.square(), share)
            scale = s.add(e).div_(v.add(e)).sqrt_()
            before = h.abs().sum()
            torch.mul(m, scale, out=h)
            p.sub_(h, alpha=group["lr"])
            sums.append(torch.stack([before, h.abs().sum(), scale.sum()]))
        before, after, scale = torch.stack(sums).sum(0)
        group["b"] = torch.sigmoid((before + e) / (after + e)) - e
        group["d"] = scale / sum(p.numel() for p in params)
