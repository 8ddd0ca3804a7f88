"""A k-d tree whose leaves hold 32 points each, column by column, built by compiled code; see `_compiled_search`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

# Points in a leaf: eight vectors of four.
_LANES = 32
# Points of a node that choose the column which splits it.
_COMPARED = 256
# Nodes that wait in a descent: one a level. 2^62 leaves are never reached.
DEPTH = 64


_njit: Any = functools.partial(numba.njit, nogil=True, error_model="numpy")


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled, and kept for later processes."""
    try:
        return _njit(cache=True)(function)
    except RuntimeError:
        # No folder for the compiled code can be written to, so each process compiles it.
        return _njit()(function)


# A part of a kernel, never called from Python.
inner = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
# Products and sums may share one rounding. That is for bounds, not for canonical distances.
fused = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"contract"})


class Tree(NamedTuple):
    """Points in leaves.

    Attributes:
        order: (m,) number of the point at each place of the leaves.
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


def plant(blocks: list[tuple[NDArray[np.float64], float]], squared: bool) -> Tree:
    """The tree of some blocks: points (m, d) and a positive factor each."""
    points = np.concatenate([block for block, _ in blocks], 1)
    edges = np.cumsum([0, *(block.shape[1] for block, _ in blocks)], dtype=np.int64)
    factors = np.array([factor for _, factor in blocks])
    # Columns times this are comparable.
    scale = np.repeat(np.sqrt(factors) if squared else factors, np.diff(edges))
    order = _leaf_order(points, scale)
    packed, low, high, spans = _pack(points, order)
    return Tree(order, packed, low, high, spans, edges, factors)


def put_back(tree: Tree, values: NDArray[Any]) -> NDArray[Any]:
    """Values in the order of the leaves -> in the order of the points."""
    result = np.empty_like(values)
    result[tree.order] = values
    return result


@inner
@no_type_check
def between(low, high, node, own_low, own_high, edges, factors, squared, farthest):
    """Bound on the distance of points of a node and of a box, up to rounding: the upper one for `farthest`."""
    total = 0.0
    for block in range(len(factors)):
        part = 0.0
        for c in range(edges[block], edges[block + 1]):
            up, down = low[node, c] - own_high[c], own_low[c] - high[node, c]
            apart = -min(up, down) if farthest else max(0.0, max(up, down))
            part = part + apart * apart if squared else max(part, apart)
        total = max(total, part * factors[block])
    return total


@inner
@no_type_check
def is_nearer(low, high, node, other, own_low, own_high):
    """Whether the middle of a node is nearer to the middle of a box than that of the other node."""
    difference = 0.0
    for c in range(len(own_low)):
        middle = own_low[c] + own_high[c]
        a, b = low[node, c] + high[node, c] - middle, low[other, c] + high[other, c] - middle
        difference += a * a - b * b
    return difference < 0


@inner
@no_type_check
def _select(keys, order, start, stop, place):
    """Partly sort start..stop by keys, so that nothing before `place` is larger than anything after it."""
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


@inner
@no_type_check
def _widest(points, order, start, stop, scale):
    """The column in which the points start..stop, or some of them, are farthest apart."""
    stride = max(1, (stop - start) // _COMPARED)
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


@kernel
@no_type_check
def _leaf_order(points, scale):
    """Numbers of the points, leaf by leaf. The widest column halves the leaves until one is left."""
    m = len(points)
    order, keys = np.arange(m), np.empty(m)
    stack = np.empty((DEPTH, 2), np.int64)
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


@kernel
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
