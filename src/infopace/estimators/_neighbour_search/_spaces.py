"""Distances made of other distances: several blocks as one space, and every block on the same scale.

KSG takes the larger of an x- and a y-distance. So it depends on the scale of one block against the other, and
mutual information does not. The blocks are therefore brought to one scale first.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from infopace._checks import check_choice
from infopace._typing import Float, Int
from infopace.estimators._neighbour_search._distances import (
    Distances,
    column_chunks,
    pairwise_distances,
    tree_sum,
)

STANDARDIZE = ("block", "columns", "none")
# What `mutual_information` takes: ranks too, and by default what fits the kind of x and y.
SCALES = ("auto", "ranks", *STANDARDIZE)
# Below this the reciprocal would overflow. Such a block or column counts as constant.
_SMALLEST = 1e-300


def standardized_distances(x: Float[Tensor, "n d"], norm: str = "euclidean", how: str = "block") -> Distances:
    """Distances between the examples of x (n, d), scaled after the differences were taken.

    Args:
        x: (n, d) examples.
        norm: "euclidean" or "chebyshev".
        how: "block" divides all distances by one number, the norm of the column deviations: the root of the total
            variance for "euclidean", the largest deviation for "chebyshev". The geometry of the block stays. Repeated
            or constant columns change nothing, and a wide block does not outweigh a narrow one. "columns" gives every
            column unit variance. "none" leaves the scale alone. Constant columns stay as they are.

    Raises:
        ValueError: an unknown norm or scale.
    """
    check_choice("standardize", how, STANDARDIZE)
    if how == "columns" and x.shape[1] > 1:
        return pairwise_distances(x, norm, _weights(x, norm))
    distances, factor = pairwise_distances(x, norm), scale_factor(x, norm, how)
    # Scaled distances are those of a scaled block, without a second copy of it.
    return distances if factor == 1.0 else Scaled(distances, factor)


def standardized(x: Tensor, norm: str, how: str) -> tuple[Tensor, float]:
    """A (n, d) matrix, and the factor by which its distances are multiplied (their squares for "euclidean").

    Up to rounding of the coordinates these are `standardized_distances`.
    """
    if how == "columns" and x.shape[1] > 1:
        weights = _weights(x, norm)
        x = x.double()
        return (x - x.mean(0)) * (weights.sqrt() if norm == "euclidean" else weights), 1.0
    return x, scale_factor(x, norm, how)


class Scaled:
    """Distances times a positive factor."""

    def __init__(self, source: Distances, factor: float) -> None:
        self._source, self._factor = source, factor
        self.n, self.device = source.n, source.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        block, slack = self._source.rows(start, stop)
        return block * self._factor, slack * self._factor

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return self._source.exact(i, j) * self._factor

    def subset(self, index: Tensor) -> Distances:
        return Scaled(self._source.subset(index), self._factor)


class Joint:
    """The largest of the distances in some blocks. The largest of their error bounds is its error bound."""

    def __init__(self, *blocks: Distances) -> None:
        self._blocks = blocks
        self.n, self.device = blocks[0].n, blocks[0].device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        parts = [block.rows(start, stop) for block in self._blocks]
        return (
            reduce(torch.maximum, [measured for measured, _ in parts]),
            reduce(torch.maximum, [slack for _, slack in parts]),
        )

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return reduce(torch.maximum, [block.exact(i, j) for block in self._blocks])

    def subset(self, index: Tensor) -> Joint:
        return Joint(*(block.subset(index) for block in self._blocks))


class LastBlockKept:
    """Distances that keep the last block of rows, for formulas that read it several times."""

    def __init__(self, source: Distances) -> None:
        self._source, self._span = source, (-1, -1)
        self._block: tuple[Tensor, Tensor]
        self.n, self.device = source.n, source.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        if self._span != (start, stop):
            self._block, self._span = self._source.rows(start, stop), (start, stop)
        return self._block

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return self._source.exact(i, j)

    def subset(self, index: Tensor) -> LastBlockKept:
        return LastBlockKept(self._source.subset(index))


class SameClass:
    """Distance between labels: 0 for equal ones, infinite for different ones."""

    def __init__(self, classes: Int[Tensor, " n"]) -> None:
        self._classes = classes
        self.n, self.device = len(classes), classes.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        apart = self._classes[start:stop, None] != self._classes[None, :]
        exact = torch.zeros(stop - start, 1, dtype=torch.float64, device=self.device)
        return torch.where(apart, math.inf, exact), exact

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        apart = self._classes[i] != self._classes[j]
        return torch.where(apart, math.inf, torch.zeros(len(i), dtype=torch.float64, device=self.device))

    def subset(self, index: Tensor) -> SameClass:
        return SameClass(self._classes[index])


def scale_factor(x: Tensor, norm: str, how: str) -> float:
    """What "block" and "none" multiply distances by (squared ones for "euclidean")."""
    if how == "none":
        return 1.0
    variances = _variances(x)
    variance = float(tree_sum(variances, 0) if norm == "euclidean" else variances.max())
    if variance < _SMALLEST:
        return 1.0
    return 1 / variance if norm == "euclidean" else 1 / math.sqrt(variance)


def _weights(x: Tensor, norm: str) -> Tensor:
    """What "columns" multiplies the difference in each column by (its square for "euclidean")."""
    variances = _variances(x)
    variances = torch.where(variances < _SMALLEST, 1.0, variances)
    return 1 / (variances if norm == "euclidean" else variances.sqrt())


def _variances(x: Tensor) -> Tensor:
    """Variance of each column, by tree sums: the scale, and so every tie, has the same bits everywhere."""
    result = torch.empty(x.shape[1], dtype=torch.float64, device=x.device)
    for chunk, columns in column_chunks(x):
        mean = tree_sum(chunk, 0) / len(x)
        result[columns] = tree_sum((chunk - mean).square_(), 0) / len(x)
    return result
