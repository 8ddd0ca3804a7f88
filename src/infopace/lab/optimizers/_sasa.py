"""SASA+ and SALSA: SGD whose rate drops where a test finds the process stationary, with a line search before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

_LEVEL = 0.05  # of both tests
_KEPT = 8  # the newest 1/8 of all values since the last drop

Moves = list[tuple[Tensor, Tensor, Tensor]]


class SASA(Optimizer):
    """SGD with momentum, and a rate that is divided by ten where the steps are stationary.

    With the gradient g (weight_decay w included), all starting at 0,

        h <- m h + (1 - m) g
        w <- w - lr h
        D  = <w, h> + lr / 2 |h|^2

    where w is the new one and <.,.> runs over all weights. In a stationary process D has mean 0. The newest 1/8 of the
    D since the last drop are kept. If there are more than `least`, every `every` steps a t-interval of their mean at
    the 95 % level must hold 0, and the means of both halves must have one sign. Before the first drop the interval
    around each half's mean must hold 0. Then lr is divided by ten, h is zeroed and the D are forgotten. The momentum is
    damped, so lr corresponds to lr (1 - m) of torch's SGD.

    The standard deviation of D is by batch means: D is correlated from step to step. With n values in k blocks of
    floor(sqrt(n)), it is sqrt(n / k) times that of the blocks' means, with k - 1 degrees of freedom. The package
    statopt 0.2 compares its default mode "mb" with "bm", and so takes D as independent; `as_shipped` does the same.
    [measured] With it, rates and drops are those of the package over 6000 steps.

    Lang, Zhang, Xiao (2019), Using statistics to automate stochastic optimization, arXiv:1909.09785; Zhang, Lang, Liu,
    Xiao (2020), Statistical adaptive stochastic gradient methods, arXiv:2002.10597.

    Args:
        params: Weights, or groups of them. One rate is for all.
        lr: The first rate.
        momentum: m.
        weight_decay: Factor of the penalty weight_decay |w|^2 / 2.
        least: Number of kept values that a test needs more than.
        every: Number of steps between tests.
        as_shipped: Take the D as independent.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        least: int = 1000,
        every: int = 100,
        as_shipped: bool = False,
    ) -> None:
        if least < 8:
            raise ValueError(f"least must be >= 8, got {least}")
        if every < 1:
            raise ValueError(f"every must be >= 1, got {every}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._least, self._every, self._as_shipped = least, every, as_shipped
        first = self.param_groups[0]["params"][0]
        nothing = torch.zeros(0, dtype=torch.float64, device=first.device)
        self.param_groups[0].update(t=0, drops=0, seen=0, kept=nothing)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the weights along their gradients, and test."""
        moves = self._directions()
        if moves:
            self._move(moves)

    def _directions(self) -> Moves:
        """Of each weight with a gradient: it, its gradient and the average h."""
        moves: Moves = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["average"] = torch.zeros_like(p)
                grad = p.grad.add(p, alpha=group["weight_decay"])
                moves.append((p, grad, state["average"].lerp_(grad, 1 - group["momentum"])))
        return moves

    def _move(self, moves: Moves) -> bool:
        """Move the weights and test. Whether a test found the steps stationary."""
        first = self.param_groups[0]
        for p, _, h in moves:
            p.sub_(h, alpha=first["lr"])
        along, squares = dots((p, h) for p, _, h in moves), dots((h, h) for _, _, h in moves)
        first["t"] += 1
        first["kept"], first["seen"] = keep(first["kept"], first["seen"], along + first["lr"] / 2 * squares)
        if len(first["kept"]) <= self._least or first["t"] % self._every:
            return False
        found = stationary(
            first["kept"].cpu().numpy(), batch_means=not self._as_shipped, halves=first["drops"] == 0
        )
        if found:
            self._drop(first)
        return found

    def _drop(self, first: dict[str, Any]) -> None:
        first.update(drops=first["drops"] + 1, seen=0, kept=first["kept"][:0])
        lr = first["lr"] / 10
        for group in self.param_groups:
            group["lr"] = lr
        for state in self.state.values():
            state["average"].zero_()


class SALSA(SASA):
    """SASA+ that starts with a line search, so that its first rate hardly matters.

    Until the switch, before every step, with the loss f of the batch in eval mode, its penalty included, and the
    gradient g:

        eta = 2 lr; halved, at most twice, while f(w - eta g) > f(w) - 0.05 eta |g|^2
        lr <- (1 - gamma) lr + gamma eta

    The switch is for good. It comes where SASA's test finds the steps stationary, or where the newest 1/8 of the f, if
    they are more than `least`, no longer fall: a one-sided t-test at the 5 % level of their least-squares slope.

    Zhang, Lang, Liu, Xiao (2020), arXiv:2002.10597. The package accepts a loss that is not a number as a decrease;
    `as_shipped` does the same.

    Args:
        params: Weights, or groups of them. One rate is for all.
        lr: The rate that the search starts from.
        gamma: Weight of a search's result. The authors advise sqrt(batch size / number of examples).
        momentum: As for SASA.
        weight_decay: As for SASA.
        least: As for SASA.
        every: As for SASA.
        as_shipped: As the package has it.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, *, gamma: float = 0.1, **options: Any
    ) -> None:
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma must be in (0, 1], got {gamma}")
        super().__init__(params, lr, **options)
        self._gamma = gamma
        first = self.param_groups[0]
        first.update(switched=0, losses_seen=0, losses=first["kept"][:0])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Search, move and test. `closure` returns the loss of the batch at the present weights, in eval mode.

        Raises ValueError without a closure.
        """
        if closure is None:
            raise ValueError("SALSA's step needs a closure that returns the loss again, got None")
        first, moves = self.param_groups[0], self._directions()
        if not moves:
            return
        if not first["switched"]:
            loss = torch.tensor(
                self._search(moves, closure), dtype=torch.float64, device=first["kept"].device
            )
            first["losses"], first["losses_seen"] = keep(first["losses"], first["losses_seen"], loss)
            if len(first["losses"]) > self._least and not falls(first["losses"].cpu().numpy()):
                first["switched"] = 1
        if self._move(moves):
            first["switched"] = 1

    def _search(self, moves: Moves, closure: Callable[[], float]) -> float:
        """Update the rate. Returns the loss of the batch, penalty included; the weights stay."""
        lr, before = self.param_groups[0]["lr"], [p.clone() for p, _, _ in moves]
        start, squares = closure() + self._penalty(), float(dots((g, g) for _, g, _ in moves))
        eta = 2 * lr
        for _ in range(2):
            for (p, g, _), kept in zip(moves, before, strict=True):
                p.copy_(kept).sub_(g, alpha=eta)
            loss = closure() + self._penalty()
            if loss <= start - 0.05 * eta * squares or (self._as_shipped and math.isnan(loss)):
                break
            eta /= 2
        for (p, _, _), kept in zip(moves, before, strict=True):
            p.copy_(kept)
        for group in self.param_groups:
            group["lr"] = (1 - self._gamma) * lr + self._gamma * eta
        return start

    def _penalty(self) -> float:
        """weight_decay |w|^2 / 2, over the weights with a gradient."""
        terms = [
            group["weight_decay"] / 2 * p.double().square().sum()
            for group in self.param_groups
            for p in group["params"]
            if p.grad is not None and group["weight_decay"]
        ]
        return float(torch.stack(terms).sum()) if terms else 0.0


def dots(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum of the inner products of pairs of tensors, in double precision."""
    return torch.stack([(a.double() * b.double()).sum() for a, b in pairs]).sum()


def keep(kept: Tensor, seen: int, value: Tensor) -> tuple[Tensor, int]:
    """The newest 1/8 of all values, rounded up, after one more; and the number of all."""
    grows = seen % _KEPT == 0
    return torch.cat((kept if grows else kept[1:], value.reshape(1))), seen + 1


def stationary(values: np.ndarray, *, batch_means: bool, halves: bool) -> bool:
    """Whether (n,) values may have mean 0, by a t-interval at the 95 % level and two halves with means of one sign.

    With `halves`, an interval of the same width around the mean of each half must hold 0.
    """
    from scipy import stats

    n = len(values)
    if batch_means:
        size = math.isqrt(n)
        count = n // size
        means = values[: count * size].reshape(count, size).mean(1)
        std, freedom = math.sqrt(size / (count - 1) * float(((means - values.mean()) ** 2).sum())), count - 1
    else:
        std, freedom = float(values.std(ddof=1)), n - 1
    width = std / math.sqrt(n) * float(stats.t.ppf(1 - _LEVEL / 2, freedom))
    first, second = float(values[: n // 2].mean()), float(values[n // 2 :].mean())
    inside = max(abs(first), abs(second)) < width if halves else abs(float(values.mean())) < width
    return inside and first * second > 0


def falls(values: np.ndarray) -> bool:
    """Whether the least-squares slope of (n,) values is below 0, by a one-sided t-test at the 5 % level."""
    from scipy import stats

    x = np.arange(len(values)) - (len(values) - 1) / 2
    y = values - values.mean()
    spread = math.sqrt(float(x @ x) * float(y @ y))
    r = float(x @ y) / spread if spread > 0 else 0.0
    t = r * math.sqrt((len(values) - 2) / max(1 - r * r, 1e-20))
    return bool(stats.t.cdf(t, len(values) - 2) < _LEVEL)
