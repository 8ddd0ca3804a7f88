"""Information of distributions, in nats: closed forms and integrals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.integrate
import scipy.special
import scipy.stats


def normal(*correlations: float) -> float:
    """I = -1/2 sum ln(1 - r^2) of independent normal pairs with these correlations."""
    return -0.5 * sum(math.log(1 - r**2) for r in correlations)


def normal_blocks(covariance: np.ndarray, p: int) -> float:
    """I of jointly normal blocks: the first p columns, and the rest."""

    def half_logdet(part: np.ndarray) -> float:
        return 0.5 * float(np.linalg.slogdet(part)[1])

    return half_logdet(covariance[:p, :p]) + half_logdet(covariance[p:, p:]) - half_logdet(covariance)


def student_entropy(nu: float, d: int) -> float:
    """Entropy of the d-dimensional t with unit scatter."""
    norm = math.lgamma(nu / 2) - math.lgamma((nu + d) / 2) + d / 2 * math.log(nu * math.pi)
    return norm + (nu + d) / 2 * float(scipy.special.digamma((nu + d) / 2) - scipy.special.digamma(nu / 2))


def student(nu: float, p: int, q: int, *correlations: float) -> float:
    """I of blocks of a (p + q)-dimensional t, whose first pairs of columns have these correlations."""
    tail = student_entropy(nu, p) + student_entropy(nu, q) - student_entropy(nu, p + q)
    return normal(*correlations) + tail


def binary(p: float) -> float:
    """Entropy of a coin."""
    return 0.0 if p in (0, 1) else -p * math.log(p) - (1 - p) * math.log(1 - p)


def entropy(shares: Sequence[float] | np.ndarray) -> float:
    """Entropy of shares."""
    p = np.asarray(shares, dtype=float)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def table(p: np.ndarray) -> float:
    """I of a joint table of probabilities."""
    p = p / p.sum()
    product = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    mask = p > 0
    return float((p[mask] * np.log(p[mask] / product[mask])).sum())


def grid(density: Callable[[np.ndarray, np.ndarray], np.ndarray], reach: float, points: int = 1601) -> float:
    """I of a smooth joint density of two numbers within `reach` of 0, on a grid."""
    at = np.linspace(-reach, reach, points)
    return table(density(at[:, None], at[None, :]))


def line_entropy(density: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> float:
    """Entropy of a density of one number."""
    at = np.linspace(low, high, 40_001)
    p = density(at)
    p = p / np.trapezoid(p, at)
    return float(-np.trapezoid(np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0.0), at))


def blurred(values: np.ndarray, weights: np.ndarray, sigma: float) -> float:
    """I(X; f(X) + sigma Z) = h(f(X) + sigma Z) - h(sigma Z); f(X) has these values with these weights."""
    low, high = values.min() - 8 * sigma, values.max() + 8 * sigma
    at = np.linspace(low, high, 4001)
    width = at[1] - at[0]
    p = np.zeros_like(at)
    for start in range(0, len(values), 2000):
        part = slice(start, start + 2000)
        p += (weights[part, None] * np.exp(-0.5 * ((at[None] - values[part, None]) / sigma) ** 2)).sum(0)
    p /= p.sum() * width
    h = float(-(p[p > 0] * np.log(p[p > 0])).sum() * width)
    return h - 0.5 * math.log(2 * math.pi * math.e * sigma**2)


def classes(centres: Sequence[float], shares: Sequence[float], sigmas: Sequence[float]) -> float:
    """I of normals on a line and their class: h of the mixture less the mean h of its parts."""
    reach = 12 * max(sigmas)

    def density(at: np.ndarray) -> np.ndarray:
        parts = [w * scipy.stats.norm.pdf(at, c, s) for w, c, s in zip(shares, centres, sigmas, strict=True)]
        return np.sum(parts, axis=0)

    parts = sum(w * 0.5 * math.log(2 * math.pi * math.e * s**2) for w, s in zip(shares, sigmas, strict=True))
    return line_entropy(density, min(centres) - reach, max(centres) + reach) - parts


def rounded(rho: float, step_x: float, step_y: float) -> float:
    """I of a normal pair whose values are rounded to these steps; 0 leaves them as they are."""
    fine = 0.0125
    at = np.arange(-6 + fine / 2, 6, fine)
    p = np.exp(-(at[:, None] ** 2 - 2 * rho * at[:, None] * at + at**2) / (2 * (1 - rho**2)))
    for axis, step in enumerate((step_x, step_y)):
        if step:
            cells = np.unique(np.round((at + 1e-9) / step), return_inverse=True)[1]
            merged = np.zeros((cells.max() + 1, p.shape[1 - axis]))
            np.add.at(merged, cells, p if axis == 0 else p.T)
            p = merged if axis == 0 else merged.T
    return table(p)


def censored(rho: float, both: bool) -> float:
    """I of a normal pair whose x, or x and y, are cut to 0 below 0."""
    fine = 0.0125
    at = np.arange(-6 + fine / 2, 6, fine)
    p = np.exp(-(at[:, None] ** 2 - 2 * rho * at[:, None] * at + at**2) / (2 * (1 - rho**2)))
    above = at > 0
    p = np.vstack([p[~above].sum(0), p[above]])
    if both:
        p = np.hstack([p[:, ~above].sum(1, keepdims=True), p[:, above]])
    return table(p)


def poisson(rate: Callable[[np.ndarray], np.ndarray]) -> float:
    """I(X; N), N a count with mean rate(X), X standard normal."""
    at = np.linspace(-7, 7, 701)
    weight = scipy.stats.norm.pdf(at)
    counts = np.arange(0, 1500)
    return table(weight[:, None] * scipy.stats.poisson.pmf(counts[None], rate(at)[:, None]))


def scale_of_noise(scales: Callable[[np.ndarray], np.ndarray]) -> float:
    """I(X; s(X) Z) for X uniform in (0, 1) and Z standard normal."""
    u = (np.arange(120) + 0.5) / 120
    s = scales(u)
    reach = 9 * float(s.max())

    def density(at: np.ndarray) -> np.ndarray:
        return np.mean([scipy.stats.norm.pdf(at, 0, each) for each in s], axis=0)

    inside = float(np.mean(0.5 * np.log(2 * math.pi * math.e * s**2)))
    return line_entropy(density, -reach, reach) - inside
