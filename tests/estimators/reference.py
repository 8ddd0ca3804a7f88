"""Slow, obvious versions of the estimators: loops over examples, no matrix product, no shared code.

Distances are taken pair by pair: `distances` from float64 differences and a correctly rounded sum,
`exact_distances` in whole numbers, where a tie is a tie. Euclidean ones are squared: their order matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Examples = NDArray[Any]
_EULER_GAMMA = 0.5772156649015328606


def psi(m: int) -> float:
    """Digamma of a whole number: 1 + 1/2 + .. + 1/(m-1) - gamma."""
    return math.fsum(1 / j for j in range(1, m)) - _EULER_GAMMA


def distances(x: Examples, norm: str) -> Examples:
    rows = [[float(value) for value in np.ravel(row)] for row in x]
    return np.array([[_distance(a, b, norm) for b in rows] for a in rows])


def _distance(a: Sequence[float], b: Sequence[float], norm: str) -> float:
    if norm == "chebyshev":
        return max(abs(p - q) for p, q in zip(a, b, strict=True))
    return math.fsum((p - q) * (p - q) for p, q in zip(a, b, strict=True))


def exact_distances(x: Examples, norm: str, unit: float = 1.0) -> Examples:
    """Distances, in units, of examples whose values are whole multiples of the unit (a power of two)."""
    rows = [[_whole(float(value) / unit) for value in np.ravel(row)] for row in x]
    table = np.empty((len(rows), len(rows)), dtype=object)
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            differences = [abs(p - q) for p, q in zip(a, b, strict=True)]
            table[i, j] = max(differences) if norm == "chebyshev" else sum(d * d for d in differences)
    return table


def _whole(value: float) -> int:
    assert value == int(value), f"{value} is no whole multiple of the unit"
    return int(value)


def scaled(x: Examples, norm: str) -> float:
    """What "block" standardisation multiplies a distance by."""
    columns = np.asarray(x, dtype=float).reshape(len(x), -1).T
    variances = []
    for column in columns:
        mean = math.fsum(column) / len(column)
        variances.append(math.fsum((value - mean) ** 2 for value in column) / len(column))
    return 1 / math.fsum(variances) if norm == "euclidean" else 1 / math.sqrt(max(variances))


def exact_columns(x: Examples, norm: str) -> Examples:
    """Squared distances, as fractions, after every column was divided by its deviation ("columns")."""
    columns = [[Fraction(float(value)) for value in column] for column in np.asarray(x).T]
    scaled = []
    for column in columns:
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / len(column)
        scaled.append((column, variance or Fraction(1)))
    table = np.empty((len(x), len(x)), dtype=object)
    for i in range(len(x)):
        for j in range(len(x)):
            squares = [(column[i] - column[j]) ** 2 / variance for column, variance in scaled]
            table[i, j] = max(squares) if norm == "chebyshev" else sum(squares)
    return table


def ross_counts(table: Examples, labels: Sequence[int], k: int) -> list[tuple[int, int, int] | None]:
    """(kt, N_c, m) of every example; None for one alone in its class, which no other counts."""
    alone = {label for label in labels if list(labels).count(label) == 1}
    kept = [i for i, label in enumerate(labels) if label not in alone]
    counts: list[tuple[int, int, int] | None] = [None] * len(labels)
    for i in kept:
        own = [j for j in kept if j != i and labels[j] == labels[i]]
        radius = sorted(table[i][j] for j in own)[min(k, len(own)) - 1]
        inside_own = sum(table[i][j] <= radius for j in own)
        inside_all = sum(table[i][j] <= radius for j in kept if j != i)
        counts[i] = int(inside_own), len(own) + 1, int(inside_all)
    return counts


def ross(table: Examples, labels: Sequence[int], k: int) -> float:
    rows = [row for row in ross_counts(table, labels, k) if row is not None]
    if not rows:
        return math.nan
    return psi(len(rows)) + math.fsum(psi(kt) - psi(size) - psi(m) for kt, size, m in rows) / len(rows)


def ksg1_counts(dx: Examples, dy: Examples, k: int) -> list[tuple[int, int, int]]:
    """(k, n_x, n_y) of every example: strictly inside rho_i, and at distance 0 for the copies of rho_i = 0."""
    counts = []
    for i in range(len(dx)):
        others = [j for j in range(len(dx)) if j != i]
        radius = sorted(max(dx[i][j], dy[i][j]) for j in others)[k - 1]
        if radius == 0:
            copies = sum(dx[i][j] == 0 and dy[i][j] == 0 for j in others)
            n_x, n_y = sum(dx[i][j] == 0 for j in others), sum(dy[i][j] == 0 for j in others)
            counts.append((int(copies) + 1, int(n_x), int(n_y)))
        else:
            n_x, n_y = sum(dx[i][j] < radius for j in others), sum(dy[i][j] < radius for j in others)
            counts.append((k, int(n_x), int(n_y)))
    return counts


def ksg1(dx: Examples, dy: Examples, k: int) -> float:
    rows = ksg1_counts(dx, dy, k)
    return psi(len(rows)) + math.fsum(psi(m) - psi(a + 1) - psi(b + 1) for m, a, b in rows) / len(rows)


def ksg2(dx: Examples, dy: Examples, k: int) -> float:
    terms = []
    for i in range(len(dx)):
        others = [j for j in range(len(dx)) if j != i]
        radius = sorted(max(dx[i][j], dy[i][j]) for j in others)[k - 1]
        neighbours = [j for j in others if max(dx[i][j], dy[i][j]) <= radius]
        reach_x, reach_y = max(dx[i][j] for j in neighbours), max(dy[i][j] for j in neighbours)
        n_x, n_y = sum(dx[i][j] <= reach_x for j in others), sum(dy[i][j] <= reach_y for j in others)
        found = len(neighbours)
        terms.append(psi(found) - 1 / found - psi(int(n_x)) - psi(int(n_y)))
    return psi(len(dx)) + math.fsum(terms) / len(dx)
