"""One scale for a block of coordinates.

KSG takes the larger of an x- and a y-distance, so it sees the scale of one block against the other; mutual
information does not. The blocks are therefore brought to the same scale first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace.estimators._distances import Distances, Scaled, column_chunks, pairwise_distances, tree_sum

STANDARDIZE = ("block", "columns", "none")
# Below this the reciprocal would overflow; such a block or column counts as constant.
_SMALLEST = 1e-300


def standardized_distances(x: Tensor, norm: str, how: str) -> Distances:
    """Distances between the rows of x (n, d) after scaling, which comes after the differences.

    "block" divides by one number and so keeps the geometry of the block: by the norm of the column
    deviations, that is the root of the total variance for "euclidean" and the largest deviation for
    "chebyshev". Then repeated or constant columns, which carry nothing, change nothing, and a wide block does
    not outweigh a narrow one. "columns" gives every column unit variance, "none" leaves the scale alone.
    Constant columns stay as they are.
    """
    if how == "columns" and x.shape[1] > 1:
        return pairwise_distances(x, norm, _weights(x, norm))
    distances, factor = pairwise_distances(x, norm), _factor(x, norm, how)
    # Scaling the distances is scaling the block, without a second copy of it.
    return distances if factor == 1.0 else Scaled(distances, factor)


def standardized(x: Tensor, norm: str, how: str) -> tuple[Tensor, float]:
    """A (n, d) matrix, and the factor by which its distances have to be multiplied (squares for "euclidean").

    Up to rounding of the coordinates these are `standardized_distances`.
    """
    if how == "columns" and x.shape[1] > 1:
        weights = _weights(x, norm)
        x = x.double()
        return (x - x.mean(0)) * (weights.sqrt() if norm == "euclidean" else weights), 1.0
    return x, _factor(x, norm, how)


def _factor(x: Tensor, norm: str, how: str) -> float:
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
    """Variance of each column, as tree sums: the scale, and so every tie, has the same bits anywhere."""
    result = torch.empty(x.shape[1], dtype=torch.float64, device=x.device)
    for chunk, columns in column_chunks(x):
        mean = tree_sum(chunk, 0) / len(x)
        result[columns] = tree_sum((chunk - mean).square_(), 0) / len(x)
    return result
