"""Nearest neighbours and counts by a compiled k-d tree, every open comparison decided on canonical distances.

The points are sorted into leaves of 32, stored column by column. So one point is compared with a leaf in a few vector
instructions. A whole leaf searches together. It goes down the tree once and skips what is too far from its box. Then it
compares its points with the leaves that are near enough to them.

Distances are first summed in the fastest order. The canonical order (see `_distances`) sums the same squares. The two
differ by a few roundings. Only a distance that close to a radius is computed again, and its canonical value decides.
Blocks of one column need no tree. Their values are sorted, and bisected.

The compiled code is kept for later processes, beside this file or in numba's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray

from infopace.estimators._neighbour_search._compiled_tree import (
    DEPTH,
    Tree,
    between,
    fused,
    inner,
    is_nearer,
    kernel,
    plant,
    put_back,
)

# Sums of at most 11 squares in two orders, and one product, differ by some tens of 2^-53.
_ROUNDING = 2.0**-45
# Squares below the normal range of float64 are rounded to whole steps of 2^-1074. This is a few of them.
_STEP = 2.0**-1065
# Pieces of work for each thread, so that none waits long for the last. With fewer leaves a piece threads do not pay.
_PIECES, _FEWEST_LEAVES = 16, 64


def nearest(
    blocks: list[tuple[NDArray[np.float64], float]], squared: bool, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Canonical distance of each example to its k-th nearest other one, and how many others are at most as far.

    Each block is points (m, d) and a positive factor. A block's distance is the squared Euclidean one (`squared`) or
    the largest difference, times its factor. The distance of two examples is the largest of the blocks' distances.
    """
    tree = plant(blocks, squared)
    radius, within = np.empty(len(tree.order)), np.empty(len(tree.order), np.int64)
    _share_out(_nearest, tree, squared, k, radius, within)
    return put_back(tree, radius), put_back(tree, within)


def count_within(
    points: NDArray[np.float64],
    factor: float,
    squared: bool,
    radius: NDArray[np.float64],
    closed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Other points nearer than the radius of each; at most that far for points that are `closed`.

    What is compared is the canonical distance of points (m, d), times the factor.
    """
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0], kind="stable")
        counts = np.empty(len(points))
        counts[order] = _count_on_line(points[order, 0], factor, squared, radius[order], closed[order])
        return counts
    tree = plant([(points, factor)], squared)
    found = np.zeros(len(points), np.int64)
    _share_out(_count, tree, squared, radius[tree.order], closed[tree.order], found)
    return put_back(tree, found).astype(np.float64)


def _share_out(task: Callable[..., None], tree: Tree, *arguments: Any) -> None:
    """Run a task on all leaves, on as many threads as torch uses.

    These are plain threads. The thread pools of compiled loops do not survive a fork, and they end the process when
    two threads of the caller enter them.
    """
    leaves, threads = len(tree.points), torch.get_num_threads()
    shape = (len(tree.order), *tree[1:])
    pieces = min(leaves // _FEWEST_LEAVES, _PIECES * threads)
    if threads == 1 or pieces < 2:
        task(0, leaves, *shape, *arguments)
        return
    ends = np.linspace(0, leaves, pieces + 1).astype(np.int64).tolist()

    def piece(start: int, stop: int) -> None:
        task(start, stop, *shape, *arguments)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, ends[:-1], ends[1:]))


@fused
@no_type_check
def _to_leaf(points, leaf, own, s, edges, factors, squared, total, part):
    """Distances of point s of `own` to the points of a leaf, up to rounding."""
    lanes = points.shape[2]
    for lane in range(lanes):
        total[lane] = 0.0
    for block in range(len(factors)):
        for lane in range(lanes):
            part[lane] = 0.0
        c, last = edges[block], edges[block + 1]
        if squared:
            # Two columns at a time: half the reading and writing of sums.
            while c + 1 < last:
                here, next_ = own[s, c], own[s, c + 1]
                for lane in range(lanes):
                    a, b = points[leaf, c, lane] - here, points[leaf, c + 1, lane] - next_
                    part[lane] = (part[lane] + a * a) + b * b
                c += 2
        while c < last:
            here = own[s, c]
            for lane in range(lanes):
                a = abs(points[leaf, c, lane] - here)
                b = part[lane]
                part[lane] = b + a * a if squared else (a if a > b else b)
            c += 1
        for lane in range(lanes):
            a, b = part[lane] * factors[block], total[lane]
            total[lane] = a if a > b else b


@fused
@no_type_check
def _to_box(points, leaf, low, high, node, edges, factors, squared, total, part):
    """Lower bounds of the distances of the points of a leaf to the box of a node, up to rounding."""
    lanes = points.shape[2]
    for lane in range(lanes):
        total[lane] = 0.0
    for block in range(len(factors)):
        for lane in range(lanes):
            part[lane] = 0.0
        for c in range(edges[block], edges[block + 1]):
            least, most = low[node, c], high[node, c]
            for lane in range(lanes):
                a, b = least - points[leaf, c, lane], points[leaf, c, lane] - most
                a = a if a > b else b
                a = a if a > 0.0 else 0.0
                b = part[lane]
                part[lane] = b + a * a if squared else (a if a > b else b)
        for lane in range(lanes):
            a, b = part[lane] * factors[block], total[lane]
            total[lane] = a if a > b else b


@inner
@no_type_check
def canonical(points, leaf, lane, own, s, edges, factors, squared, terms):
    """The canonical distance of two points, summed in the order of `_distances.tree_sum`."""
    total = 0.0
    for block in range(len(factors)):
        first, length = edges[block], edges[block + 1] - edges[block]
        for c in range(length):
            apart = abs(own[s, first + c] - points[leaf, first + c, lane])
            terms[c] = apart * apart if squared else apart
        while length > 1:
            half = length // 2
            for c in range(half):
                a, b = terms[c], terms[half + c]
                terms[c] = a + b if squared else max(a, b)
            if length % 2 == 1:
                terms[half] = terms[length - 1]
                half += 1
            length = half
        total = max(total, terms[0] * factors[block])
    return total


@fused
@no_type_check
def _count_to(total, limit):
    count = 0
    for lane in range(len(total)):
        count += total[lane] <= limit
    return count


@fused
@no_type_check
def _any_within(near, limit):
    count = 0
    for lane in range(len(near)):
        count += near[lane] <= limit[lane]
    return count > 0


@inner
@no_type_check
def _take_up(points, leaf, size, own, own_low, own_high):
    """Copy the points of a leaf, and find their box."""
    for c in range(points.shape[1]):
        own_low[c], own_high[c] = np.inf, -np.inf
        for s in range(size):
            value = points[leaf, c, s]
            own[s, c] = value
            own_low[c], own_high[c] = min(own_low[c], value), max(own_high[c], value)


@inner
@no_type_check
def insert(value, best, ties, s):
    """One more neighbour of point s: `best` are its k nearest so far, `ties` how many more are as far as the last."""
    place = best.shape[1] - 1
    kth = best[s, place]
    if value == kth:
        ties[s] += 1
    if value >= kth:
        return
    while place > 0 and best[s, place - 1] > value:
        best[s, place] = best[s, place - 1]
        place -= 1
    best[s, place] = value
    # The neighbour that was pushed out is a tie if the last is as far.
    ties[s] = ties[s] + 1 if best[s, best.shape[1] - 1] == kth and kth < np.inf else 0


@kernel
@no_type_check
def _nearest(start, stop, m, points, low, high, spans, edges, factors, squared, k, radius, within):
    """`nearest` for the points of the leaves start..stop, results in the order of the leaves."""
    width, lanes = points.shape[1], points.shape[2]
    total, part, near = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    own, best, ties = np.empty((lanes, width)), np.empty((lanes, k)), np.empty(lanes, np.int64)
    own_low, own_high, terms = np.empty(width), np.empty(width), np.empty(width)
    stack, apart, limit = np.empty(DEPTH, np.int64), np.empty(DEPTH), np.empty(lanes)
    step = _STEP * (1 + factors.max())
    for leaf in range(start, stop):
        place = leaf * lanes
        size = min(lanes, m - place)
        _take_up(points, leaf, size, own, own_low, own_high)
        for s in range(lanes):
            # Lanes without a point search for nothing.
            ties[s], limit[s] = 0, np.inf if s < size else -1.0
            for i in range(k):
                best[s, i] = np.inf
        # The own leaf comes first, as node -1. It sets limits that leave little of the tree to be searched.
        stack[0], apart[0], stack[1], apart[1], top = 0, 0.0, -1, 0.0, 2
        widest = np.inf
        while top > 0:
            top -= 1
            node = stack[top]
            if apart[top] > widest:
                continue
            first, last = leaf, leaf + 1
            if node < 0:
                for s in range(size):
                    near[s] = 0.0
            else:
                first, last = spans[node, 0], spans[node, 1]
                if first == leaf and last - first == 1:
                    continue
                _to_box(points, leaf, low, high, node, edges, factors, squared, near, part)
                if not _any_within(near, limit):
                    continue
            if last - first > 1:
                # The side whose middle is nearer is searched first.
                child = 2 * node + 1
                swapped = is_nearer(low, high, child, child + 1, own_low, own_high)
                for side in range(2):
                    i = child + 1 - side if swapped else child + side
                    gap = between(low, high, i, own_low, own_high, edges, factors, squared, False)
                    stack[top + side], apart[top + side] = i, gap
                top += 2
                continue
            widest = 0.0
            for s in range(size):
                if near[s] <= limit[s]:
                    _to_leaf(points, first, own, s, edges, factors, squared, total, part)
                    if _count_to(total, limit[s]) > 0:
                        for lane in range(min(lanes, m - first * lanes)):
                            if total[lane] <= limit[s] and (first != leaf or lane != s):
                                value = canonical(points, first, lane, own, s, edges, factors, squared, terms)
                                insert(value, best, ties, s)
                                limit[s] = best[s, k - 1] * (1 + _ROUNDING) + step
                widest = max(widest, limit[s])
        for s in range(size):
            radius[place + s] = best[s, k - 1]
            within[place + s] = k + ties[s]


@kernel
@no_type_check
def _count(start, stop, m, points, low, high, spans, edges, factors, squared, radius, closed, counts):
    """`count_within` for the points of the leaves start..stop; radius, closed and counts are in the leaves' order."""
    width, lanes = points.shape[1], points.shape[2]
    total, part, near = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    own, inner, outer = np.empty((lanes, width)), np.empty(lanes), np.empty(lanes)
    own_low, own_high, terms = np.empty(width), np.empty(width), np.empty(width)
    stack = np.empty(DEPTH, np.int64)
    step = _STEP * (1 + factors.max())
    for leaf in range(start, stop):
        place = leaf * lanes
        size = min(lanes, m - place)
        _take_up(points, leaf, size, own, own_low, own_high)
        narrowest, widest = np.inf, 0.0
        for s in range(size, lanes):
            outer[s] = -1.0
        for s in range(size):
            inner[s] = radius[place + s] * (1 - _ROUNDING) - step
            outer[s] = radius[place + s] * (1 + _ROUNDING) + step
            narrowest, widest = min(narrowest, inner[s]), max(widest, outer[s])
        stack[0], top = 0, 1
        while top > 0:
            top -= 1
            node = stack[top]
            first, last = spans[node, 0], spans[node, 1]
            if between(low, high, node, own_low, own_high, edges, factors, squared, False) > widest:
                continue
            if between(low, high, node, own_low, own_high, edges, factors, squared, True) < narrowest:
                for s in range(size):
                    counts[place + s] += min(last * lanes, m) - first * lanes
                continue
            _to_box(points, leaf, low, high, node, edges, factors, squared, near, part)
            if not _any_within(near, outer):
                continue
            if last - first > 1:
                stack[top], stack[top + 1] = 2 * node + 1, 2 * node + 2
                top += 2
                continue
            for s in range(size):
                if near[s] > outer[s]:
                    continue
                _to_leaf(points, first, own, s, edges, factors, squared, total, part)
                inside = _count_to(total, inner[s])
                counts[place + s] += inside
                if _count_to(total, outer[s]) > inside:
                    limit, with_limit = radius[place + s], closed[place + s]
                    for lane in range(min(lanes, m - first * lanes)):
                        if inner[s] < total[lane] <= outer[s]:
                            value = canonical(points, first, lane, own, s, edges, factors, squared, terms)
                            counts[place + s] += value < limit or (with_limit and value == limit)
        for s in range(size):
            # The point itself was counted too where 0 is within its radius.
            counts[place + s] -= radius[place + s] > 0 or closed[place + s]


@kernel
@no_type_check
def _count_on_line(values, factor, squared, radius, closed):
    """The counts for sorted values (m,): canonical distances grow to both sides of a value."""
    m = len(values)
    counts = np.zeros(m, np.int64)
    for side in (1, -1):
        inside = 0
        for i in range(m):
            most = m - 1 - i if side == 1 else i
            # Start at the count of the value before. Steps double until they are past the end. Then bisect.
            low, high, step = 0, most + 1, 1
            guess = max(1, min(inside, most))
            while low < guess < high:
                if _is_hit(values[i], values[i + side * guess], factor, squared, radius[i], closed[i]):
                    low = guess
                    guess += step
                else:
                    high = guess
                    guess -= step
                step *= 2
            while high - low > 1:
                middle = (low + high) // 2
                if _is_hit(values[i], values[i + side * middle], factor, squared, radius[i], closed[i]):
                    low = middle
                else:
                    high = middle
            inside = low
            counts[i] += inside
    return counts


@inner
@no_type_check
def _is_hit(a, b, factor, squared, radius, closed):
    apart = abs(a - b)
    value = (apart * apart if squared else apart) * factor
    return value < radius or (closed and value == radius)
