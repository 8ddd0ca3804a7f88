"""Quantiles of Student's t distribution, which torch does not have."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def student_quantile(u: Tensor, nu: float, points: int = 4001) -> Tensor:
    """Quantiles of Student's t with nu degrees of freedom (inf: the normal); relative error about 1e-6.

    The mass of the upper tail is summed from its far end on a grid that is even in asinh(t). It is interpolated in
    the logarithms.
    """
    if math.isinf(nu):
        return torch.special.ndtri(u)
    # The smallest score of 5e7 examples is above 1e-8.
    top = math.asinh(50 + 10 * min(1e8 ** (1 / nu), 1e140))
    s = torch.linspace(0, top, points, dtype=torch.float64)
    log_norm = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    # log cosh(s) = s + log1p(exp(-2s)) - log 2 does not overflow, nor does the logarithm of sinh(s)^2.
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


@lru_cache
def two_sided_quantile(freedom: float, coverage: float = 0.95) -> float:
    """How many standard errors on either side cover a share of draws, for an error with `freedom` degrees of freedom.

    >>> round(two_sided_quantile(math.inf), 3), round(two_sided_quantile(10.0), 3)
    (1.960, 2.228)
    """
    if math.isnan(freedom):
        return math.nan
    upper = torch.tensor((1 + coverage) / 2, dtype=torch.float64)
    return float(student_quantile(upper, freedom))
