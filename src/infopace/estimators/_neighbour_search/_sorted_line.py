"""Ross for vectors of one column: sorted values instead of all pairs, and ties cost nothing.

Among sorted numbers the canonical distance (see `_distances`) never falls with the distance in the order. Each of its
steps is rounded, and rounding keeps the order. So neighbours stand next to each other, and bisection on canonical
distances finds the counts. The work is n log n, with numpy alone, and the counts are exactly those of `ross`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes

Values = NDArray[np.float64]
Places = NDArray[np.int64]


def line_ross_terms(
    x: Float[Tensor, "n 1"], labels: Int[Tensor, " n"], k: int, norm: str
) -> Float[Tensor, " m"]:
    """`ross_terms` of one column, on the sorted values."""
    classes, sizes = as_classes(labels.cpu())
    kept = (sizes[classes] > 1).nonzero().squeeze(1)
    if len(kept) == 0:
        return torch.empty(0, dtype=torch.float64)
    classes, sizes = as_classes(labels.cpu()[kept])
    values, squared = x.cpu()[kept, 0].double().numpy(), norm == "euclidean"
    radius, own_class = np.empty(len(values)), np.empty(len(values), np.int64)
    for members in torch.argsort(classes, stable=True).split(sizes.tolist()):
        place = members.numpy()
        inside = values[place]
        radius[place] = kth_distance(inside, min(k, len(place) - 1), squared)
        own_class[place] = within(inside, radius[place], squared)
    counts = torch.from_numpy(own_class), sizes[classes], torch.from_numpy(within(values, radius, squared))
    own, size, every = (torch.digamma(count.double()) for count in counts)
    return own - size - every


def kth_distance(values: Values, k: int, squared: bool) -> Values:
    """Canonical distance of each value to its k-th nearest other one.

    Each window of k + 1 sorted values that holds this one has a farther end. The distance is the least of those.
    """
    order = np.argsort(values, kind="stable")
    line, here = values[order], np.arange(len(values))
    first, last = np.maximum(here - k, 0), np.minimum(here, len(values) - 1 - k)

    def left_is_farther(start: Places) -> NDArray[np.bool_]:
        return _apart(line, line[start], squared) > _apart(line, line[start + k], squared)

    # As the window moves right, its left end comes nearer and its right end moves away.
    start = _bisected(first, last, left_is_farther)
    ends = np.maximum(
        _apart(line, line[start], squared),
        _apart(line, line[start + k], squared),
    )
    before = np.maximum(start - 1, first)
    radius = np.empty(len(values))
    radius[order] = np.minimum(
        ends, np.maximum(_apart(line, line[before], squared), _apart(line, line[before + k], squared))
    )
    return radius


def within(values: Values, radius: Values, squared: bool) -> Places:
    """How many other values are at most the radius of each away, by canonical distance."""
    order = np.argsort(values, kind="stable")
    line, limit, here = values[order], radius[order], np.arange(len(values))

    def is_beyond(place: Places) -> NDArray[np.bool_]:
        return _apart(line, line[place], squared) > limit

    def is_inside(place: Places) -> NDArray[np.bool_]:
        return _apart(line, line[place], squared) <= limit

    end = np.full(len(line), len(line) - 1)
    low = _bisected(np.zeros_like(here), here, is_beyond)
    high = _bisected(here, end, is_inside)
    high -= ~is_inside(high)
    counts = np.empty(len(values), np.int64)
    counts[order] = high - low
    return counts


def _bisected(low: Places, high: Places, goes_on: Callable[[Places], NDArray[np.bool_]]) -> Places:
    """The first place in low..high where the condition is false, or high; it is true up to that place."""
    low, high = low.copy(), high.copy()
    while bool((low < high).any()):
        middle = (low + high) // 2
        ahead = goes_on(middle) & (low < high)
        low = np.where(ahead, middle + 1, low)
        high = np.where(ahead, high, middle)
    return low


def _apart(a: Values, b: Values, squared: bool) -> Values:
    difference = a - b
    return difference * difference if squared else np.abs(difference)
