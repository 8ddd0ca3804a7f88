"""Nearest neighbours inside each of many groups, such as classes, by compiled code; see `_compiled_search`."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numpy.typing import NDArray

from infopace.estimators._neighbour_search._compiled_search import canonical, insert, nearest
from infopace.estimators._neighbour_search._compiled_tree import kernel

# Points of a group that are compared pair by pair: two leaves.
_SMALL = 64


def nearest_in_groups(
    points: NDArray[np.float64], groups: list[NDArray[np.int64]], squared: bool, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """`nearest` inside each group of points (m, d); with fewer others than k, the farthest of them.

    A tree a group. In small groups all pairs are compared, in one call for all groups.
    """
    radius, within = np.empty(len(points)), np.empty(len(points), np.int64)
    small = [group for group in groups if len(group) <= _SMALL]
    for group in groups:
        if len(group) > _SMALL:
            radius[group], within[group] = nearest([(points[group], 1.0)], squared, min(k, len(group) - 1))
    if small:
        order = np.concatenate(small)
        ends = np.cumsum([0, *map(len, small)], dtype=np.int64)
        near, ties = np.empty(len(order)), np.empty(len(order), np.int64)
        _nearest_of_all(points[order], ends, squared, k, near, ties)
        radius[order], within[order] = near, ties
    return radius, within


@kernel
@no_type_check
def _nearest_of_all(points, ends, squared, k, radius, within):
    """`nearest` among the points ends[g]..ends[g + 1] of each group g, from all pairs."""
    width = points.shape[1]
    # One point as a leaf of its own.
    leaf, edges, factors = np.empty((1, width, 1)), np.array([0, width]), np.ones(1)
    terms, best, ties = np.empty(width), np.empty((1, k)), np.empty(1, np.int64)
    for group in range(len(ends) - 1):
        first, last = ends[group], ends[group + 1]
        nearest = min(k, last - first - 1)
        for s in range(first, last):
            for c in range(width):
                leaf[0, c, 0] = points[s, c]
            best[0, :], ties[0] = np.inf, 0
            for other in range(first, last):
                if other != s:
                    value = canonical(leaf, 0, 0, points, other, edges, factors, squared, terms)
                    insert(value, best[:, :nearest], ties, 0)
            radius[s] = best[0, nearest - 1]
            within[s] = nearest + ties[0]
