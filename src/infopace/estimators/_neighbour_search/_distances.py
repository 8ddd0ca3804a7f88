"""Distances between all pairs of examples: fast, and exact wherever a comparison could depend on it.

Neighbour counts must not depend on the number format, the device or the order of a sum. So every pair has one
*canonical* distance: the examples as float64, differences, squares, and a sum in a fixed tree order. Each step is
rounded the same way on every device, so the canonical distance has the same bits everywhere.

Canonical distances of all pairs are slow at high width. The matrix product

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b        (centred first, in float64)

is fast, but carries rounding errors. These are bounded by the `slack`. Where the bound leaves a comparison open,
which is rare, the canonical distance decides.

Euclidean distances stay squared, because counts need only their order. Columns with weights are scaled after the
difference. Division before it could make two equal distances, one above and one below, differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from infopace._checks import check_choice
from infopace._typing import Float

NORMS = ("euclidean", "chebyshev")
# Most elements of float64 in a block of the matrix of distances (128 MB).
_ROW_BLOCK = 2**24
# Each block reads all of the data, so it has at least this many rows if they fit. More only where that is small.
_BLOCK_ROWS = 256
# Elements of float64 in a chunk of columns or pairs (16 MB): small, so that the allocator reuses the memory.
_CHUNK = 2**21
# Up to this many examples the whole matrix is kept (128 MB), so that error bars use it again.
_MOST_KEPT = 4096
# Columns of a Chebyshev distance at a time. Both vectors then stay in the fastest memory: 3.3 s instead of 5.2 s at
# n 1000, d 10,000, one core (measured).
_CHEBYSHEV_COLUMNS = 512
# Below this width direct differences are as fast as the matrix product, and exact.
_DIRECT_WIDTH = 4
_UNIT_ROUNDOFF = 2.0**-53


@runtime_checkable
class Distances(Protocol):
    """All pairwise distances of n examples, read in blocks of rows of their (n, n) matrix.

    Attributes:
        n: Number of examples.
        device: Where the distances are computed.
    """

    n: int
    device: torch.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The rows start..stop: a (stop - start, n) float64 block, and a (stop - start, 1) bound on its error.

        The block may be a view. Do not write to it.
        """
        ...

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        """Canonical distances of the pairs (i[p], j[p])."""
        ...

    def subset(self, index: Tensor) -> Distances:
        """Distances between some of the examples, or between all of them in another order."""
        ...


def pairwise_distances(
    x: Float[Tensor, "n d"], norm: str = "euclidean", weights: Float[Tensor, " d"] | None = None
) -> Distances:
    """Distances between the examples of x (n, d), on its own scale.

    Args:
        x: (n, d) examples.
        norm: "euclidean", whose distances are squared, or "chebyshev", the largest difference.
        weights: (d,) float64 factors of the squared difference in each column, or for "chebyshev" of the difference.

    Raises:
        ValueError: an unknown norm.
    """
    check_choice("norm", norm, NORMS)
    exact: _Chebyshev | _WeightedChebyshev | _Direct | _Product
    if norm == "chebyshev":
        exact = _Chebyshev(x) if weights is None else _WeightedChebyshev(x, weights)
    else:
        exact = _Direct(x, weights) if x.shape[1] <= _DIRECT_WIDTH else _Product(x, weights)
    return _Kept(exact) if len(x) <= _MOST_KEPT else exact


def direct_distances(x: Float[Tensor, "n d"], norm: str) -> Distances:
    """Distances in few columns, each computed when it is read: for a reader of a few rows."""
    return _Chebyshev(x) if norm == "chebyshev" else _Direct(x)


def row_blocks(n: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the blocks of rows in which a matrix of (n, n) distances is read."""
    return _spans(n, min(max(_BLOCK_ROWS, _CHUNK // n), _ROW_BLOCK // n))


def true_in_rows(mask: Tensor) -> Tensor:
    """(rows,) how many of each row of a (rows, n) mask are true, as int64."""
    # torch sums booleans thirty times faster as int32, which holds n, than as int64 (measured).
    return mask.sum(1, dtype=torch.int32).long()


def column_chunks(x: Tensor) -> Iterator[tuple[Tensor, slice]]:
    """The columns of x (n, d) in float64, some at a time, and which they are; views where x is float64."""
    for start, stop in _spans(x.shape[1], _CHUNK // len(x)):
        yield x[:, start:stop].double(), slice(start, stop)


def _spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    size = max(1, size)
    for start in range(0, count, size):
        yield start, min(start + size, count)


class _Direct:
    """Squared Euclidean distances in few columns: every entry is canonical."""

    def __init__(self, x: Tensor, weights: Tensor | None = None) -> None:
        self._x, self._weights = x.double(), weights
        self._columns = range(x.shape[1])
        self.n, self.device = len(x), x.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        squares = torch.stack(
            [(self._x[start:stop, None, c] - self._x[None, :, c]).square_() for c in self._columns]
        )
        if self._weights is not None:
            squares *= self._weights[:, None, None]
        return tree_sum(squares, 0), torch.zeros(stop - start, 1, dtype=torch.float64, device=self.device)

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return _canonical_squares(self._x, i, j, self._weights)

    def subset(self, index: Tensor) -> Distances:
        return _Direct(self._x[index], self._weights)


class _Chebyshev:
    """Largest coordinate difference. A maximum does not depend on its order, so every entry is exact."""

    def __init__(self, x: Tensor) -> None:
        self._x = x.double()
        self.n, self.device = len(x), x.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        block = torch.zeros(stop - start, self.n, dtype=torch.float64, device=self.device)
        for a, b in _spans(self._x.shape[1], _CHEBYSHEV_COLUMNS):
            self._raise(block, self._x[start:stop, a:b].contiguous(), self._x[:, a:b].contiguous())
        return block, torch.zeros(stop - start, 1, dtype=torch.float64, device=self.device)

    def everything(self) -> tuple[Tensor, Tensor]:
        """The whole matrix; the mirrored half is copied."""
        matrix = torch.zeros(self.n, self.n, dtype=torch.float64, device=self.device)
        spans = list(_spans(self.n, max(64, -(-self.n // 8))))
        for a, b in _spans(self._x.shape[1], _CHEBYSHEV_COLUMNS):
            chunk = self._x[:, a:b].contiguous()
            for start, stop in spans:
                self._raise(matrix[start:stop, start:], chunk[start:stop], chunk[start:])
        for start, stop in spans:
            matrix[stop:, start:stop] = matrix[start:stop, stop:].T
        return matrix, torch.zeros(self.n, 1, dtype=torch.float64, device=self.device)

    @staticmethod
    def _raise(block: Tensor, left: Tensor, right: Tensor) -> None:
        """Raise each distance to the largest difference in some more columns, where that is larger."""
        torch.maximum(block, torch.cdist(left, right, p=math.inf), out=block)

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        spans = _spans(len(i), _CHUNK // self._x.shape[1])
        parts = [(self._x[i[a:b]] - self._x[j[a:b]]).abs().amax(1) for a, b in spans]
        return torch.cat(parts) if parts else self._x.new_empty(0)

    def subset(self, index: Tensor) -> Distances:
        return _Chebyshev(self._x[index])


class _WeightedChebyshev:
    """Largest weighted coordinate difference: that of scaled examples, with a bound on the rounding of the scaling."""

    def __init__(self, x: Tensor, weights: Tensor) -> None:
        self._x, self._weights = x.double(), weights
        scaled = (self._x - self._x.mean(0)) * weights
        self._scaled = _Chebyshev(scaled)
        self.n, self.device = len(x), x.device
        # Centring, weighting and the difference of two such coordinates a and b err by at most 3 u (|a| + |b|). The
        # canonical distance errs by 2 u |a - b|.
        largest = scaled.abs().amax(1, keepdim=True)
        self._slack = 8 * _UNIT_ROUNDOFF * (largest + largest.max())

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        return self._scaled.rows(start, stop)[0], self._slack[start:stop]

    def everything(self) -> tuple[Tensor, Tensor]:
        return self._scaled.everything()[0], self._slack

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        spans = _spans(len(i), _CHUNK // self._x.shape[1])
        parts = [((self._x[i[a:b]] - self._x[j[a:b]]).abs_() * self._weights).amax(1) for a, b in spans]
        return torch.cat(parts) if parts else self._x.new_empty(0)

    def subset(self, index: Tensor) -> Distances:
        return _WeightedChebyshev(self._x[index], self._weights)


class _Product:
    """Squared Euclidean distances in many columns by a matrix product, with a bound on the rounding."""

    def __init__(self, x: Tensor, weights: Tensor | None = None) -> None:
        self._x, self._weights = x, weights
        self._root = None if weights is None else weights.sqrt()
        self.n, self.device = len(x), x.device
        self._centre = torch.empty(x.shape[1], dtype=torch.float64, device=x.device)
        self._squares = torch.zeros(self.n, dtype=torch.float64, device=x.device)
        for chunk, columns in column_chunks(x):
            # Far from the centre |a|^2 + |b|^2 - 2 a.b would lose all digits.
            self._centre[columns] = chunk.mean(0)
            self._squares += self._scaled(chunk, columns).square_().sum(1)
        width = x.shape[1]
        # First-order rounding analysis (Higham 2002, 3.1), in parts of |a|^2 + |b|^2: the product and the two norms
        # err by at most 2 d u, centring by 4 u, weights by 8 u, the canonical tree by 2 (log2 d + 4) u, and sums by a
        # few u.
        factor = (2 * width + 2 * math.log2(width) + 48) * _UNIT_ROUNDOFF
        self._slack = (factor * (self._squares + self._squares.max()))[:, None]

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        product = torch.zeros(stop - start, self.n, dtype=torch.float64, device=self.device)
        for chunk, columns in column_chunks(self._x):
            chunk = self._scaled(chunk, columns)
            product.addmm_(chunk[start:stop], chunk.T, alpha=-2)
        return self._add_squares(product, start, stop), self._slack[start:stop]

    def everything(self) -> tuple[Tensor, Tensor]:
        """The whole matrix; the mirrored half is copied, which saves two fifths of the work."""
        matrix = torch.zeros(self.n, self.n, dtype=torch.float64, device=self.device)
        spans = list(_spans(self.n, max(64, -(-self.n // 8))))
        for chunk, columns in column_chunks(self._x):
            chunk = self._scaled(chunk, columns)
            for start, stop in spans:
                matrix[start:stop, start:].addmm_(chunk[start:stop], chunk[start:].T, alpha=-2)
        for start, stop in spans:
            matrix[stop:, start:stop] = matrix[start:stop, stop:].T
        return self._add_squares(matrix, 0, self.n), self._slack

    def _scaled(self, chunk: Tensor, columns: slice) -> Tensor:
        centred = chunk - self._centre[columns]
        return centred if self._root is None else centred.mul_(self._root[columns])

    def _add_squares(self, product: Tensor, start: int, stop: int) -> Tensor:
        return product.add_(self._squares[start:stop, None]).add_(self._squares[None, :]).clamp_(min=0)

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        if len(i) <= self.n:
            return _canonical_squares(self._x, i, j, self._weights)
        # Many open pairs mean many equal examples (dead units, saturated outputs): each distinct pair once.
        _, group = torch.unique(self._x, dim=0, return_inverse=True)
        first = torch.full((self.n,), self.n, dtype=torch.long, device=self.device)
        first.scatter_reduce_(0, group, torch.arange(self.n, device=self.device), "amin")
        low, high = torch.minimum(group[i], group[j]), torch.maximum(group[i], group[j])
        pairs, back = torch.unique(low * self.n + high, return_inverse=True)
        first_i, first_j = first[pairs // self.n], first[pairs % self.n]
        return _canonical_squares(self._x, first_i, first_j, self._weights)[back]

    def subset(self, index: Tensor) -> Distances:
        return _Product(self._x[index], self._weights)


class _Kept:
    """A matrix computed once and kept; subsets are views into it."""

    def __init__(self, source: _Direct | _Chebyshev | _WeightedChebyshev | _Product) -> None:
        self._exact = source.exact
        self._index: Tensor | None = None
        self.n, self.device = source.n, source.device
        self._matrix, self._slack = (
            source.rows(0, self.n) if isinstance(source, _Direct) else source.everything()
        )

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        return self._matrix[start:stop], self._slack[start:stop]

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return self._exact(i, j) if self._index is None else self._exact(self._index[i], self._index[j])

    def subset(self, index: Tensor) -> Distances:
        part = object.__new__(_Kept)
        part._exact = self._exact
        part._index = index if self._index is None else self._index[index]
        part.n, part.device = len(index), self.device
        part._matrix, part._slack = self._matrix[index][:, index], self._slack[index]
        return part


def _canonical_squares(x: Tensor, i: Tensor, j: Tensor, weights: Tensor | None) -> Tensor:
    result = torch.empty(len(i), dtype=torch.float64, device=x.device)
    for start, stop in _spans(len(i), _CHUNK // x.shape[1]):
        squares = (x[i[start:stop]].double() - x[j[start:stop]].double()).square_()
        result[start:stop] = tree_sum(squares if weights is None else squares.mul_(weights), 1)
    return result


def tree_sum(values: Tensor, dim: int) -> Tensor:
    """Sum over one dimension as a fixed binary tree of additions, with the same bits on every device."""
    while (length := values.shape[dim]) > 1:
        half = length // 2
        paired = values.narrow(dim, 0, half) + values.narrow(dim, half, half)
        values = torch.cat([paired, values.narrow(dim, length - 1, 1)], dim) if length % 2 else paired
    return values.select(dim, 0)
