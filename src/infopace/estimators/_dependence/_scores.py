"""Ranks and scores: what mutual information cannot see, taken away.

I(X;Y) does not change when a column is mapped by an increasing function. So every column is replaced by its
ranks, and a model is fitted to these: the marginal shapes (heavy tails, bounded, bimodal) no longer matter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def uniform_scores(x: Tensor) -> Tensor:
    """(n, d) -> (average rank - 1/2) / n of each column, in (0, 1). Tied values share a score."""
    n = len(x)
    columns = x.double().T.contiguous()
    ordered = columns.sort(1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return ((below + up_to).double() / (2 * n)).T.contiguous()


def normal_scores(u: Tensor) -> Tensor:
    """Standard normal quantiles of scores in (0, 1)."""
    return torch.special.ndtri(u)


def row_order(u: Tensor) -> Tensor:
    """An order of the rows that depends on their contents only: no result depends on the order given."""
    order = torch.arange(len(u))
    for column in reversed(range(min(u.shape[1], 8))):
        order = order[torch.sort(u[order, column], stable=True).indices]
    return order


def student_quantile(u: Tensor, nu: float, points: int = 4001) -> Tensor:
    """Quantiles of Student's t with nu degrees of freedom (inf: the normal), |relative error| about 1e-6.

    The upper tail mass is summed from the far end on a grid even in asinh(t), and interpolated log-log.
    """
    if math.isinf(nu):
        return torch.special.ndtri(u)
    # 1e-8 lies under the smallest score of 5e7 rows.
    top = math.asinh(50 + 10 * min(1e8 ** (1 / nu), 1e140))
    s = torch.linspace(0, top, points, dtype=torch.float64)
    log_norm = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    # log cosh(s) = s + log1p(exp(-2s)) - log 2, and sinh(s)^2 in the logarithm, do not overflow.
    log_t2 = 2 * (s + torch.log1p(-torch.exp(-2 * s)) - math.log(2))
    log_density = log_norm - (nu + 1) / 2 * torch.logaddexp(torch.zeros(()).double(), log_t2 - math.log(nu))
    mass = torch.exp(log_density + s + torch.log1p(torch.exp(-2 * s)) - math.log(2))
    pieces = (mass[1:] + mass[:-1]) / 2 * (s[1] - s[0])
    tail = pieces.flip(0).cumsum(0).flip(0)
    tail = (tail * (0.5 / tail[0])).log()
    p = torch.minimum(u, 1 - u).clamp_min(1e-12).log().reshape(-1)
    right = torch.searchsorted(-tail, -p).clamp(1, len(tail) - 1)
    fraction = ((tail[right - 1] - p) / (tail[right - 1] - tail[right])).clamp(0, 1)
    t = torch.sinh(s[right - 1] + fraction * (s[1] - s[0])).reshape(u.shape)
    return torch.where(u < 0.5, -t, t)


def principal_columns(u: Tensor, most: int) -> Tensor:
    """At most `most` columns: the leading principal components of the normal scores, as scores again.

    A function of X alone cannot raise I(X;Y), so what is left is still a lower bound.
    """
    if u.shape[1] <= most:
        return u
    z = normal_scores(u)
    z = z - z.mean(0)
    left, values, _ = torch.linalg.svd(z, full_matrices=False)
    components = left[:, :most] * values[:most]
    # The sign of a component is free: fix it by its largest entry.
    components = components * components.gather(0, components.abs().argmax(0, keepdim=True)).sign()
    return uniform_scores(components)
