"""Mutual information of jointly normal vectors: canonical correlations, without their bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Float


def gaussian(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> float:
    """Estimate of I(X;Y) in nats for vectors that are jointly normal; unbiased if they are.

        I = -1/2 sum_i ln(1 - r_i^2) - b
        b = 1/2 sum_{j=1..q} [ psi((N - j + 1) / 2) - psi((N - p - j + 1) / 2) ],    N = n - 1

    r_i are the canonical correlations of the sample, psi the digamma function, p and q the ranks of x and y.

    b is the exact bias for every Sigma and n > p + q. The first term is 1/2 ln(|S_x| |S_y| / |S|), with the scatter
    matrices S of x, y and both. For normal examples S is Wishart with N degrees of freedom. At width m then
    E ln|S| = ln|Sigma| + m ln 2 + sum_{j=1..m} psi((N - j + 1) / 2). With these put in, all but I and b cancels.

    For other distributions it estimates the information that their covariance shows. It does not change under any
    invertible affine map of x or of y. Columns that are constant or combinations of others add no rank and are left
    out. The value is inf if a combination of x equals one of y, because then the information is infinite.

    Args:
        x: (n, p) examples.
        y: (n, q) examples.

    Raises:
        ValueError: n <= p + q, where every sample shows perfect correlation.

    Sources: Anderson, Introduction to Multivariate Statistical Analysis, 3rd ed. 2003, thm 7.5.1; Goodman, Ann. Math.
        Stat. 34, 1963; Misra et al., J. Multivariate Analysis 92, 2005.
    """
    sines, p, q = _sines(x, y)
    if bool((sines <= _tolerance(len(x))).any()):
        return math.inf
    freedom = len(x) - 1
    bias = _sum_psi(freedom, q, 0) - _sum_psi(freedom - p, q, 0)
    return 0.0 - float(sines.log().sum()) - bias / 2


def gaussian_std_error(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> float:
    """Standard error of `gaussian` in nats for jointly normal vectors.

        se^2 = R / n + 1/4 sum_{j=1..q} [ psi'((N - p - j + 1) / 2) - psi'((N - j + 1) / 2) ]
        R = ( sum_i r_i^2 - p q / N ) / ( 1 - max(p, q) / N ), not below 0

    psi' is the trigamma function. R / n is the asymptotic variance (delta method). R is sum r_i^2 less what independent
    samples show by chance, p q / N. The second term is the exact variance under independence, where the product of the
    1 - r_i^2 is one of independent beta variables (Anderson 2003, thm 8.4.1).
    """
    sines, p, q = _sines(x, y)
    freedom = len(x) - 1
    chance = p * q / freedom
    found = max(0.0, float((1 - sines.square()).sum()) - chance) / (1 - max(p, q) / freedom)
    spread = _sum_psi(freedom - p, q, 1) - _sum_psi(freedom, q, 1)
    return math.sqrt(found / len(x) + spread / 4)


def _sines(x: Tensor, y: Tensor) -> tuple[Tensor, int, int]:
    """sqrt(1 - r^2) for the canonical correlations r, and the ranks of x and y."""
    base_x, base_y = _basis(x), _basis(y)
    p, q = base_x.shape[1], base_y.shape[1]
    if p + q >= len(x):
        raise ValueError(
            f"n must be greater than the widths of x and y together, got n = {len(x)} "
            f"with ranks {p} and {q}: take more examples or fewer columns"
        )
    if p < q:
        base_x, base_y = base_y, base_x
    # What x leaves unexplained of y. 1 - r^2 would have no digits left where r is nearly 1.
    rest = base_y - base_x @ (base_x.T @ base_y)
    return torch.linalg.svdvals(rest).clamp(max=1.0), p, q


def _basis(x: Tensor) -> Tensor:
    """Orthonormal columns that span the centred columns of x, each first brought to unit length."""
    centred = x.double() - x.double().mean(0)
    length = centred.norm(dim=0)
    # The mean of equal numbers has a rounding error, and a constant column must not become noise.
    noise = _tolerance(len(x)) * x.double().abs().amax(0)
    kept = length > noise * math.sqrt(len(x))
    left, values, _ = torch.linalg.svd(centred[:, kept] / length[kept], full_matrices=False)
    return left[:, values > _tolerance(max(x.shape)) * values[:1]]


def _tolerance(size: int) -> float:
    return size * torch.finfo(torch.float64).eps


def _sum_psi(freedom: int, count: int, order: int) -> float:
    """sum_{j=1..count} of the polygamma function of the order at (freedom - j + 1) / 2."""
    steps = torch.arange(count, dtype=torch.float64)
    return float(torch.polygamma(order, (freedom - steps) / 2).sum())
