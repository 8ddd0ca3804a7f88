"""Ross for vectors of one column: sorted values instead of all pairs, and ties cost nothing.

Among sorted numbers the canonical distance (see `_distances`) never falls with the distance in the order. Each of its
steps is rounded, and rounding keeps the order. So neighbours stand next to each other, and bisection on canonical
distances finds the counts. The work is n log n, with numpy alone, and the counts are exactly those of `ross`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes
from infopace.estimators._neighbour_search._counts import value

Values = NDArray[np.float64]
Places = NDArray[np.int64]


def line_ross_terms(
    x: Float[Tensor, "n 1"], labels: Int[Tensor, " n"], k: int, norm: str
) -> Float[Tensor, " m"]:
    """`ross_terms` of one column, on the sorted values."""
    everything = torch.zeros(len(labels), dtype=torch.long)
    return _terms(x, labels, k, norm, everything)[0]


def line_ross_values(
    x: Float[Tensor, "n 1"], labels: Int[Tensor, " n"], k: int, norm: str, parts: list[Tensor]
) -> list[float]:
    """`ross` of each of some parts of the examples, in one pass."""
    order, place = torch.cat(parts), torch.arange(len(parts))
    part = place.repeat_interleave(torch.tensor([len(each) for each in parts]))
    terms, part = _terms(x[order.to(x.device)], labels[order.to(labels.device)], k, norm, part)
    return [value(terms[part == each]) for each in place]


def _terms(
    x: Tensor, labels: Tensor, k: int, norm: str, part: Int[Tensor, " n"]
) -> tuple[Float[Tensor, " m"], Int[Tensor, " m"]]:
    """Terms within each part for the examples that are not alone in their class there, and their parts."""
    classes, sizes = as_classes(labels.cpu())
    groups, sizes = as_classes(part * len(sizes) + classes)
    kept = (sizes[groups] > 1).nonzero().squeeze(1)
    if len(kept) == 0:
        return torch.empty(0, dtype=torch.float64), part[kept]
    part, (groups, sizes) = part[kept], as_classes(groups[kept])
    values, squared = x.cpu()[kept, 0].double().numpy(), norm == "euclidean"
    size = sizes[groups]
    own, whole = Line.of(values, groups.numpy()), Line.of(values, part.numpy())
    radius = own.kth_distance(torch.clamp(size - 1, max=k).numpy(), squared)
    counts = (torch.from_numpy(line.within(radius, squared)).double() for line in (own, whole))
    own_class, every = map(torch.digamma, counts)
    return own_class - torch.digamma(size.double()) - every, part


class Line(NamedTuple):
    """Values sorted inside groups.

    Attributes:
        order: (n,) number of the value at each place.
        values: (n,) the sorted values, group after group.
        first: (n,) first place of the group of each place.
        last: (n,) last place of that group.
    """

    order: Places
    values: Values
    first: Places
    last: Places

    @staticmethod
    def of(values: Values, groups: Places) -> Line:
        """Sort the values (n,) inside the groups (n,)."""
        order = np.lexsort((values, groups))
        sizes = np.unique(groups, return_counts=True)[1]
        ends = np.cumsum(sizes)
        return Line(order, values[order], np.repeat(ends - sizes, sizes), np.repeat(ends - 1, sizes))

    def kth_distance(self, k: Places, squared: bool) -> Values:
        """Canonical distance of each value to its k-th nearest other one of its group; k is (n,).

        Each window of k + 1 sorted values that holds this one has a farther end. The distance is the least of those.
        """
        line, here, k = self.values, np.arange(len(self.values)), k[self.order]
        first, last = np.maximum(here - k, self.first), np.minimum(here, self.last - k)
        # As the window moves right, its left end comes nearer and its right end moves away.
        start = _bisected(
            first,
            last,
            lambda place: _apart(line, line[place], squared) > _apart(line, line[place + k], squared),
        )
        ends = np.maximum(_apart(line, line[start], squared), _apart(line, line[start + k], squared))
        before = np.maximum(start - 1, first)
        radius = np.empty(len(line))
        radius[self.order] = np.minimum(
            ends, np.maximum(_apart(line, line[before], squared), _apart(line, line[before + k], squared))
        )
        return radius

    def within(self, radius: Values, squared: bool) -> Places:
        """How many other values of its group are at most the radius of each away, by canonical distance."""
        line, limit, here = self.values, radius[self.order], np.arange(len(self.values))
        low = _bisected(self.first, here, lambda place: _apart(line, line[place], squared) > limit)
        high = _bisected(here, self.last, lambda place: _apart(line, line[place], squared) <= limit)
        high -= _apart(line, line[high], squared) > limit
        counts = np.empty(len(line), np.int64)
        counts[self.order] = high - low
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
