"""Nearest neighbours and counts by a compiled k-d tree, every open comparison decided on canonical distances.

The rows are sorted into leaves of 32, each stored column by column, so that one row is compared with a leaf in
a few vector instructions. A whole leaf searches together: it goes down the tree once, skips what its own box
shows to be too far for all its rows, and compares with the leaves that are left those of its rows that are
near enough. Distances are first summed in the fastest order. The canonical order (see `_distances`) sums the
same squares, so the two differ by a few roundings of the sum; only within that of a radius is the canonical
distance computed, and decides. Blocks of one column need no tree: their rows are sorted, and bisected.

The compiled code is kept beside this file, or in numba's cache, for later processes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, no_type_check

import numba
import numpy as np
import torch
from numpy.typing import NDArray

# Rows in a leaf: eight vectors of four.
_LANES = 32
# Sums in two orders, at most 11 squares, one product: they differ by some tens of 2^-53.
_ROUNDING = 2.0**-45
# Squares below the normal range of float64 are rounded to whole steps of 2^-1074: a few of those.
_STEP = 2.0**-1065
# Rows of a node that are looked at to choose the column that splits it.
_LOOKED_AT = 256
# Nodes that wait in a descent: one a level, and 2^62 leaves are never reached.
_DEPTH = 64
# Pieces of work a thread, so that none waits long for the last.
_PIECES = 16


class _Tree(NamedTuple):
    """Rows in leaves.

    Attributes:
        order: (m,) the row at each place of the leaves.
        points: (leaves, d, 32) the leaves, filled up with infinity.
        low: (nodes, d) smallest coordinates in each node; the nodes below node i are 2i + 1 and 2i + 2.
        high: (nodes, d) largest ones.
        spans: (nodes, 2) first leaf of each node, and the one after its last.
        edges: (blocks + 1,) first column of each block, and the one after the last.
        factors: (blocks,) of the distances in each block.
    """

    order: NDArray[np.int64]
    points: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    spans: NDArray[np.int64]
    edges: NDArray[np.int64]
    factors: NDArray[np.float64]


def nearest(
    blocks: list[tuple[NDArray[np.float64], float]], squared: bool, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Canonical distance of each row to its k-th nearest other row, and how many others are at most as far.

    Each block is points (m, d) and a positive factor. The distance of two rows is the largest of the blocks',
    each times its factor: the squared Euclidean one (`squared`) or the largest difference.
    """
    tree = _plant(blocks, squared)
    radius, within = np.empty(len(tree.order)), np.empty(len(tree.order), np.int64)
    _share_out(_nearest, tree, squared, k, radius, within)
    return _put_back(tree, radius), _put_back(tree, within)


def count_within(
    points: NDArray[np.float64],
    factor: float,
    squared: bool,
    radius: NDArray[np.float64],
    closed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Other rows nearer than the radius of each row; at most that far for rows that are `closed`.

    The canonical distances of points (m, d) times the factor are compared.
    """
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0], kind="stable")
        counts = np.empty(len(points))
        counts[order] = _count_on_line(points[order, 0], factor, squared, radius[order], closed[order])
        return counts
    tree = _plant([(points, factor)], squared)
    found = np.zeros(len(points), np.int64)
    _share_out(_count, tree, squared, radius[tree.order], closed[tree.order], found)
    return _put_back(tree, found).astype(np.float64)


def _share_out(kernel: Callable[..., None], tree: _Tree, *arguments: Any) -> None:
    """Run a kernel on all leaves, on as many threads as torch uses.

    These are plain threads: the thread pools of compiled loops do not outlive a fork, and end the process
    when two threads of the caller enter them.
    """
    leaves, threads = len(tree.points), torch.get_num_threads()
    ends = np.linspace(0, leaves, min(leaves, _PIECES * threads) + 1).astype(np.int64).tolist()
    shape = (len(tree.order), *tree[1:])

    def piece(start: int, stop: int) -> None:
        kernel(start, stop, *shape, *arguments)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, ends[:-1], ends[1:]))


def _plant(blocks: list[tuple[NDArray[np.float64], float]], squared: bool) -> _Tree:
    points = np.concatenate([block for block, _ in blocks], 1)
    edges = np.cumsum([0, *(block.shape[1] for block, _ in blocks)], dtype=np.int64)
    factors = np.array([factor for _, factor in blocks])
    # Columns times this are comparable.
    scale = np.repeat(np.sqrt(factors) if squared else factors, np.diff(edges))
    order = _leaf_order(points, scale)
    packed, low, high, spans = _pack(points, order)
    return _Tree(order, packed, low, high, spans, edges, factors)


def _put_back(tree: _Tree, values: NDArray[Any]) -> NDArray[Any]:
    result = np.empty_like(values)
    result[tree.order] = values
    return result


_njit: Any = functools.partial(numba.njit, nogil=True, error_model="numpy")


def _kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled, and kept for later processes."""
    try:
        return _njit(cache=True)(function)
    except RuntimeError:
        # No folder to keep the code in can be written to: it is compiled in each process.
        return _njit()(function)


# A part of a kernel, never called from Python.
_inner = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
# Products and sums may share one rounding: for bounds, not for canonical distances.
_fused = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"contract"})


@_inner
@no_type_check
def _select(keys, order, start, stop, place):
    """Partly sort start..stop by keys, so that nothing before `place` is larger than what follows."""
    low, high = start, stop - 1
    while low < high:
        first, middle, last = keys[low], keys[(low + high) // 2], keys[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        i, j = low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            return


@_inner
@no_type_check
def _widest(points, order, start, stop, scale):
    """The column in which the rows start..stop, or some of them, are farthest apart."""
    stride = max(1, (stop - start) // _LOOKED_AT)
    widest, column = -1.0, 0
    for c in range(points.shape[1]):
        low = high = points[order[start], c]
        for i in range(start, stop, stride):
            value = points[order[i], c]
            low, high = min(low, value), max(high, value)
        width = (high - low) * scale[c]
        if width > widest:
            widest, column = width, c
    return column


@_kernel
@no_type_check
def _leaf_order(points, scale):
    """Row numbers, leaf by leaf: the leaves are halved by the widest column until one is left."""
    m = len(points)
    order, keys = np.arange(m), np.empty(m)
    stack = np.empty((_DEPTH, 2), np.int64)
    stack[0, 0], stack[0, 1], top = 0, (m + _LANES - 1) // _LANES, 1
    while top > 0:
        top -= 1
        first, last = stack[top, 0], stack[top, 1]
        if last - first == 1:
            continue
        middle = (first + last) // 2
        start, stop = first * _LANES, min(m, last * _LANES)
        column = _widest(points, order, start, stop, scale)
        for i in range(start, stop):
            keys[i] = points[order[i], column]
        _select(keys, order, start, stop, middle * _LANES)
        stack[top, 0], stack[top, 1] = first, middle
        stack[top + 1, 0], stack[top + 1, 1] = middle, last
        top += 2
    return order


@_kernel
@no_type_check
def _pack(points, order):
    """The leaves, and the box and span of every node."""
    m, d = points.shape
    leaves = (m + _LANES - 1) // _LANES
    packed = np.full((leaves, d, _LANES), np.inf)
    for i in range(m):
        for c in range(d):
            packed[i // _LANES, c, i % _LANES] = points[order[i], c]
    nodes = 1
    while nodes < 2 * leaves - 1:
        nodes = 2 * nodes + 1
    low, high = np.full((nodes, d), np.inf), np.full((nodes, d), -np.inf)
    spans = np.zeros((nodes, 2), np.int64)
    spans[0, 1] = leaves
    for node in range(nodes // 2):
        first, last = spans[node, 0], spans[node, 1]
        if last - first > 1:
            middle = (first + last) // 2
            spans[2 * node + 1, 0], spans[2 * node + 1, 1] = first, middle
            spans[2 * node + 2, 0], spans[2 * node + 2, 1] = middle, last
    for node in range(nodes - 1, -1, -1):
        first, last = spans[node, 0], spans[node, 1]
        for c in range(d):
            if last - first == 1:
                for lane in range(min(_LANES, m - first * _LANES)):
                    low[node, c] = min(low[node, c], packed[first, c, lane])
                    high[node, c] = max(high[node, c], packed[first, c, lane])
            elif last - first > 1:
                low[node, c] = min(low[2 * node + 1, c], low[2 * node + 2, c])
                high[node, c] = max(high[2 * node + 1, c], high[2 * node + 2, c])
    return packed, low, high, spans


@_fused
@no_type_check
def _to_leaf(points, leaf, own, s, edges, factors, squared, total, part):
    """Distances of row s of `own` to the rows of a leaf, up to rounding."""
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


@_fused
@no_type_check
def _to_box(points, leaf, low, high, node, edges, factors, squared, total, part):
    """At least how far the rows of a leaf are from the box of a node, up to rounding."""
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


@_inner
@no_type_check
def _between(low, high, node, own_low, own_high, edges, factors, squared, farthest):
    """At least, or at most, how far rows of a node and rows of a box are apart, up to rounding."""
    total = 0.0
    for block in range(len(factors)):
        part = 0.0
        for c in range(edges[block], edges[block + 1]):
            up, down = low[node, c] - own_high[c], own_low[c] - high[node, c]
            apart = -min(up, down) if farthest else max(0.0, max(up, down))
            part = part + apart * apart if squared else max(part, apart)
        total = max(total, part * factors[block])
    return total


@_inner
@no_type_check
def _canonical(points, leaf, lane, own, s, edges, factors, squared, terms):
    """The canonical distance of two rows, summed in the order of `_distances.tree_sum`."""
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


@_fused
@no_type_check
def _count_to(total, limit):
    count = 0
    for lane in range(len(total)):
        count += total[lane] <= limit
    return count


@_fused
@no_type_check
def _any_within(near, limit):
    count = 0
    for lane in range(len(near)):
        count += near[lane] <= limit[lane]
    return count > 0


@_inner
@no_type_check
def _take_up(points, leaf, size, own, own_low, own_high):
    """Copy the rows of a leaf, and find their box."""
    for c in range(points.shape[1]):
        own_low[c], own_high[c] = np.inf, -np.inf
        for s in range(size):
            value = points[leaf, c, s]
            own[s, c] = value
            own_low[c], own_high[c] = min(own_low[c], value), max(own_high[c], value)


@_inner
@no_type_check
def _is_nearer(low, high, node, other, own_low, own_high):
    """Whether the middle of a node is nearer to the middle of a box than that of the other node."""
    difference = 0.0
    for c in range(len(own_low)):
        middle = own_low[c] + own_high[c]
        a, b = low[node, c] + high[node, c] - middle, low[other, c] + high[other, c] - middle
        difference += a * a - b * b
    return difference < 0


@_inner
@no_type_check
def _insert(value, best, ties, s):
    """A neighbour more for row s: `best` are its k nearest so far, `ties` how many more are as far as the last."""
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
    # The one that had to go is a tie if the last is as far.
    ties[s] = ties[s] + 1 if best[s, best.shape[1] - 1] == kth and kth < np.inf else 0


@_kernel
@no_type_check
def _nearest(start, stop, rows, points, low, high, spans, edges, factors, squared, k, radius, within):
    """`nearest` for the rows of the leaves start..stop, results in the order of the leaves."""
    width, lanes = points.shape[1], points.shape[2]
    total, part, near = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    own, best, ties = np.empty((lanes, width)), np.empty((lanes, k)), np.empty(lanes, np.int64)
    own_low, own_high, terms = np.empty(width), np.empty(width), np.empty(width)
    stack, apart, limit = np.empty(_DEPTH, np.int64), np.empty(_DEPTH), np.empty(lanes)
    step = _STEP * (1 + factors.max())
    for leaf in range(start, stop):
        place = leaf * lanes
        size = min(lanes, rows - place)
        _take_up(points, leaf, size, own, own_low, own_high)
        for s in range(lanes):
            # Lanes without a row look for nothing.
            ties[s], limit[s] = 0, np.inf if s < size else -1.0
            for i in range(k):
                best[s, i] = np.inf
        # The own leaf first, as node -1: it sets limits that leave little of the tree to be searched.
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
                # The side whose middle is nearer is looked at first.
                child = 2 * node + 1
                swapped = _is_nearer(low, high, child, child + 1, own_low, own_high)
                for side in range(2):
                    i = child + 1 - side if swapped else child + side
                    gap = _between(low, high, i, own_low, own_high, edges, factors, squared, False)
                    stack[top + side], apart[top + side] = i, gap
                top += 2
                continue
            widest = 0.0
            for s in range(size):
                if near[s] <= limit[s]:
                    _to_leaf(points, first, own, s, edges, factors, squared, total, part)
                    if _count_to(total, limit[s]) > 0:
                        for lane in range(min(lanes, rows - first * lanes)):
                            if total[lane] <= limit[s] and (first != leaf or lane != s):
                                value = _canonical(
                                    points, first, lane, own, s, edges, factors, squared, terms
                                )
                                _insert(value, best, ties, s)
                                limit[s] = best[s, k - 1] * (1 + _ROUNDING) + step
                widest = max(widest, limit[s])
        for s in range(size):
            radius[place + s] = best[s, k - 1]
            within[place + s] = k + ties[s]


@_kernel
@no_type_check
def _count(start, stop, rows, points, low, high, spans, edges, factors, squared, radius, closed, counts):
    """`count_within` for the rows of the leaves start..stop; radius, closed and counts in their order."""
    width, lanes = points.shape[1], points.shape[2]
    total, part, near = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    own, inner, outer = np.empty((lanes, width)), np.empty(lanes), np.empty(lanes)
    own_low, own_high, terms = np.empty(width), np.empty(width), np.empty(width)
    stack = np.empty(_DEPTH, np.int64)
    step = _STEP * (1 + factors.max())
    for leaf in range(start, stop):
        place = leaf * lanes
        size = min(lanes, rows - place)
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
            if _between(low, high, node, own_low, own_high, edges, factors, squared, False) > widest:
                continue
            if _between(low, high, node, own_low, own_high, edges, factors, squared, True) < narrowest:
                for s in range(size):
                    counts[place + s] += min(last * lanes, rows) - first * lanes
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
                    for lane in range(min(lanes, rows - first * lanes)):
                        if inner[s] < total[lane] <= outer[s]:
                            value = _canonical(points, first, lane, own, s, edges, factors, squared, terms)
                            counts[place + s] += value < limit or (with_limit and value == limit)
        for s in range(size):
            # The row itself was counted too where 0 is within its radius.
            counts[place + s] -= radius[place + s] > 0 or closed[place + s]


@_kernel
@no_type_check
def _count_on_line(values, factor, squared, radius, closed):
    """The counts for sorted values (m,): canonical distances grow to both sides of a row."""
    m = len(values)
    counts = np.zeros(m, np.int64)
    for side in (1, -1):
        inside = 0
        for i in range(m):
            most = m - 1 - i if side == 1 else i
            # From the count of the row before, in steps that double until they are past the end, then bisected.
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


@_inner
@no_type_check
def _is_hit(a, b, factor, squared, radius, closed):
    apart = abs(a - b)
    value = (apart * apart if squared else apart) * factor
    return value < radius or (closed and value == radius)
