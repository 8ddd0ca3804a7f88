"""Nearest neighbours and counts by scipy's k-d tree, every open comparison decided on canonical distances.

The tree computes distances in its own order of operations, so close to a radius it may err in the last bits. It is
therefore asked for neighbours within slightly less and slightly more than the radius. A pair in between is compared by
its canonical distance (see `_distances`). Mostly there is one: the neighbour that set the radius. Blocks of one column
need no tree. Their values are sorted, and bisected by canonical distances.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from infopace.estimators._neighbour_search._distances import Distances

# Rounding of tree distances is some tens of 2^-53. This is far above it, and far below the gaps of neighbours.
_ROUNDING = 2.0**-40
# Below this the squares of distances leave the normal range of float64, and relative rounding is no bound.
_TINY = 1e-145
# Points in a leaf. At width 10 it is twice as fast as scipy's 10 (measured: 10,000 and 30,000 normal points).
_LEAF = 40
# Pairs compared at a time (16 MB a column).
_PAIRS = 2**21


class Nearest(NamedTuple):
    """The k-th neighbour of each example: its canonical distance, its number, and how many are at most as far."""

    radius: NDArray[np.float64]
    partner: NDArray[np.int64]
    within: NDArray[np.int64]


def nearest(
    points: NDArray[np.float64],
    ids: NDArray[np.int64],
    distances: Distances,
    k: int,
    p: float,
    *,
    squared: bool,
    stretch: float,
) -> Nearest:
    """The k-th neighbour of every point among all of them, by canonical distance.

    points (m, d) are the examples `ids` of `distances`, up to rounding of their coordinates. Canonical distances
    are those of a norm D, or their squares, with D <= tree norm <= stretch D.
    """
    tree, order = _leafwise(points)
    points, ids, count = points[order], ids[order], len(points)
    radius, partner, within = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    error = _error(points)
    pending, take = np.arange(count), min(count, 2 + math.ceil(_surplus(points.shape[1], stretch) * k))
    while len(pending):
        unsure = []
        for chosen in np.array_split(pending, max(1, len(pending) * take // _PAIRS)):
            apart, found = tree.query(points[chosen], take, p=p, workers=-1)
            apart, found = apart.reshape(len(chosen), take), found.reshape(len(chosen), take)
            values = _exact(distances, np.repeat(ids[chosen], take), ids[found.ravel()]).reshape(found.shape)
            values[found == chosen[:, None]] = math.inf
            place = np.argpartition(values, k - 1, axis=1)[:, k - 1]
            line = np.arange(len(chosen))
            radius[chosen] = values[line, place]
            partner[chosen] = ids[found[line, place]]
            within[chosen] = (values <= radius[chosen, None]).sum(1)
            beyond = np.maximum(apart[:, -1] * (1 - _ROUNDING) - error, 0) / stretch
            certain = (beyond > _TINY) & (
                (beyond**2 if squared else beyond) > radius[chosen] * (1 + _ROUNDING)
            )
            if take < count:
                unsure.append(chosen[~certain])
        pending = np.concatenate(unsure) if unsure else np.empty(0, np.int64)
        take = min(count, 2 * take)
    result = Nearest(np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64))
    for target, values in zip(result, (radius, partner, within), strict=True):
        target[order] = values
    return result


def count_within_tree(
    points: NDArray[np.float64],
    distances: Distances,
    factor: float,
    p: float,
    neighbour: Nearest,
    closed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Other examples nearer than the radius of each; at most that far for examples that are `closed`.

    Canonical distances are `factor` times those of the points, or times their squares with p = 2, up to rounding of
    coordinates that were scaled.
    """
    if points.shape[1] == 1:
        return _count_on_line(points[:, 0], distances, neighbour.radius, closed)
    radius = neighbour.radius / factor
    radius = np.sqrt(radius) if p == 2 else radius
    tiny = radius < _TINY
    tree, order = _leafwise(points)
    points = points[order]
    error = _error(points)
    low = np.where(tiny, 0, np.maximum(radius * (1 - _ROUNDING) - error, 0))
    high = np.where(tiny, 10 * _TINY, radius * (1 + _ROUNDING)) + error
    inner, outer = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    for result, limit in ((inner, low), (outer, high)):
        result[order] = tree.query_ball_point(points, limit[order], p=p, workers=-1, return_length=True) - 1
    counts = inner.astype(np.float64)
    chosen = np.flatnonzero(outer > inner)
    # Mostly one pair is open, and it is the neighbour that set the radius.
    plain = (outer - inner)[chosen] == 1
    plain &= _exact(distances, chosen, neighbour.partner[chosen]) == neighbour.radius[chosen]
    counts[chosen[plain]] += closed[chosen[plain]]
    chosen = chosen[~plain]
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    for part in np.split(chosen, _cuts(outer[chosen] + 1)):
        lists = tree.query_ball_point(points[position[part]], high[part], p=p, workers=-1)
        i = np.repeat(part, [len(found) for found in lists])
        j = order[np.concatenate([np.asarray(found, np.int64) for found in lists])] if len(part) else i
        hit = _hits(distances, i, j, neighbour.radius, closed) & (i != j)
        counts[part] = np.bincount(i[hit], minlength=len(points))[part]
    return counts


def _count_on_line(
    values: NDArray[np.float64],
    distances: Distances,
    radius: NDArray[np.float64],
    closed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The counts for one column: in the sorted order canonical distances grow to both sides of a value."""
    order = np.argsort(values, kind="stable")
    here = np.arange(len(values))
    counts = np.zeros(len(values))
    for side in (1, -1):
        # Steps to the farthest value known to be inside, and to the nearest known to be outside.
        inside, outside = np.zeros_like(here), (len(values) - here if side == 1 else here + 1)
        while len(open_ := np.flatnonzero(outside - inside > 1)):
            middle = (inside[open_] + outside[open_]) // 2
            hit = _hits(distances, order[open_], order[open_ + side * middle], radius, closed)
            inside[open_[hit]] = middle[hit]
            outside[open_[~hit]] = middle[~hit]
        counts[order] += inside
    return counts


def _hits(
    distances: Distances,
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    radius: NDArray[np.float64],
    closed: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    values = _exact(distances, i, j)
    return (values < radius[i]) | (closed[i] & (values == radius[i]))


def _exact(distances: Distances, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    return distances.exact(torch.from_numpy(i), torch.from_numpy(j)).numpy()


def _error(points: NDArray[np.float64]) -> float:
    """Bound on what the rounding of centred and scaled coordinates changes in a distance."""
    return 8 * 2.0**-53 * float(np.abs(points).max()) * math.sqrt(points.shape[1])


def _surplus(width: int, stretch: float) -> float:
    """About how many points lie within the stretched ball for one inside the ball of the true norm."""
    return 1.0 if stretch == 1 else min(8.0, 1.5 * stretch ** (width / 2))


def _cuts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where to split so that the sizes in a part add up to about `_PAIRS`."""
    part = np.cumsum(sizes) // _PAIRS
    return np.flatnonzero(np.diff(part)) + 1


def _leafwise(points: NDArray[np.float64]) -> tuple[Any, NDArray[np.int64]]:
    """A tree of the points in the order of its leaves, which keeps neighbours close in memory, and that order."""
    try:
        from scipy.spatial import KDTree
    except ImportError as error:
        raise ImportError('neighbour trees need scipy: pip install "infopace[tree]"') from error
    order = KDTree(points, _LEAF, balanced_tree=False).indices.astype(np.int64)
    return KDTree(points[order], _LEAF, balanced_tree=False), order
