"""Small samples of every kind that has gone wrong somewhere: ties, copies, dead units, offsets, scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from infopace import Estimate, mutual_information

Examples = NDArray[Any]


def normal(n: int, d: int, seed: int = 0) -> Examples:
    return np.random.default_rng(seed).normal(size=(n, d))


def labels(n: int, classes: int, seed: int = 1) -> Examples:
    return np.random.default_rng(seed).integers(0, classes, n)


def lattice(n: int, d: int, levels: int = 4, seed: int = 2) -> Examples:
    return np.random.default_rng(seed).integers(0, levels, (n, d)).astype(float)


def copied(n: int, d: int) -> Examples:
    """Every example three times, in mixed order."""
    rows = np.repeat(normal(-(-n // 3), d, 3), 3, axis=0)[:n]
    return rows[np.random.default_rng(4).permutation(n)]


def dead(n: int, d: int, alive: float = 0.03) -> Examples:
    """ReLU outputs of which all but a share of the examples are exactly zero."""
    rows = np.abs(normal(n, d, 5))
    rows[np.random.default_rng(6).random(n) >= alive] = 0
    return rows


def wild(n: int, d: int) -> Examples:
    """Columns from 1e-12 to 1e12."""
    return normal(n, d, 7) * np.logspace(-12, 12, d)


# Values on a grid of whole multiples of a power of two, so that float64 differences and sums are exact.
GRIDS: dict[str, tuple[Callable[[int, int], Examples], float]] = {
    "lattice": (lattice, 1.0),
    "lattice far off centre": (lambda n, d: lattice(n, d) + 1e6, 1.0),
    "fine lattice": (lambda n, d: lattice(n, d, 9) / 64 - 3, 1 / 64),
    "large lattice": (lambda n, d: lattice(n, d) * 2.0**40, 2.0**40),
    "bits": (lambda n, d: lattice(n, d, 2), 1.0),
    "near ties": (lambda n, d: lattice(n, d, 2) * 2.0**22 + lattice(n, d, 2, 8), 1.0),
    "constant": (lambda n, d: np.full((n, d), 7.0), 1.0),
    "one apart": (lambda n, d: np.eye(n, d, dtype=float), 1.0),
}
ANY: dict[str, Callable[[int, int], Examples]] = {
    "normal": normal,
    "copied": copied,
    "dead": dead,
    "half dead": lambda n, d: dead(n, d, 0.5),
    "far off centre": lambda n, d: normal(n, d) + 1e6,
    "wild": wild,
    "tiny": lambda n, d: normal(n, d) * 1e-30,
    "huge": lambda n, d: normal(n, d) * 1e30,
}


def bivariate(n: int, rho: float, seed: int) -> tuple[Examples, Examples, float]:
    """Two correlated normal columns and their information, -ln(1 - rho^2) / 2."""
    first, noise = normal(n, 2, seed).T
    return first, rho * first + math.sqrt(1 - rho * rho) * noise, -math.log(1 - rho * rho) / 2


def clusters(n: int, seed: int, distance: float = 2.0) -> tuple[Examples, Examples]:
    """Labels 0, 1 in equal parts, and a normal column about -distance / 2 or distance / 2."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, n)
    return (generator.normal(size=n) + distance * (y - 0.5))[:, None], y


def clusters_truth(distance: float = 2.0) -> float:
    """I of `clusters`: entropy of the mixture less that of a normal, by the trapezoid rule."""
    grid = np.linspace(-12 - distance, 12 + distance, 200_001)
    sides = [np.exp(-0.5 * (grid - s * distance / 2) ** 2) / math.sqrt(2 * math.pi) for s in (-1, 1)]
    density = (sides[0] + sides[1]) / 2
    of_mixture = float(trapezoid(-density * np.log(density + 1e-300), grid))
    return of_mixture - 0.5 * math.log(2 * math.pi * math.e)


def neighbour_information(x: Any, y: Any, **options: Any) -> Estimate:
    """`mutual_information` by neighbours, whose properties hold exactly: Ross for labels, else KSG-1."""
    floating = y.is_floating_point() if isinstance(y, torch.Tensor) else np.asarray(y).dtype.kind == "f"
    return mutual_information(x, y, **{"estimator": "ksg1" if floating else "ross", **options})
