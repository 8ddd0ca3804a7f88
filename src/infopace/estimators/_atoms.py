"""Values that repeat: labels given as numbers, rounded numbers, numbers that are often 0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._dependence._scores import content_order
from infopace.estimators._inputs import as_classes
from infopace.estimators._sparse_table import is_sparse

# A value is an atom where it holds this share of the examples, or this many of them. Normal values rounded to a tenth
# of their deviation stay just below. Those rounded to a half are above.
_SHARE, _MANY = 0.04, 100
# Above this share of examples on atoms of x, of y or of a column, densities do not describe the values.
_HEAVY = 0.2
# In more columns together neighbours on atoms find less than a model of tie-broken ranks.
_MOST_COLUMNS = 6
# With this many examples a pair of values, on average, values count as labels. Fewer may be copied examples.
_A_PAIR = 5
# Above this share of examples with k or more copies there is no density, and KSG is too high.
_COPIED = 0.01


@dataclass(frozen=True)
class Atoms:
    """How often the values of x, of y and of both together repeat.

    Attributes:
        x: (n,) number of the value of x, equal where all its columns are.
        y: The same for y.
        x_sizes: Examples of each value of x.
        y_sizes: Examples of each value of y.
        sizes: Examples of each pair of values that occurs.
        k: Neighbours.
        marginals: Examples of each value of x, of y, and of the single columns where these are few.
    """

    x: Int[Tensor, " n"]
    y: Int[Tensor, " n"]
    x_sizes: Int[Tensor, " values"]
    y_sizes: Int[Tensor, " others"]
    sizes: Int[Tensor, " pairs"]
    k: int
    marginals: tuple[Tensor, ...]

    @classmethod
    def of(cls, x: Float[Tensor, "n p"], y: Float[Tensor, "n q"], k: int) -> Atoms:
        """Atoms of two blocks."""
        (first, x_sizes), (second, y_sizes) = _values(x), _values(y)
        marginals, width = [x_sizes, y_sizes], x.shape[1] + y.shape[1]
        if 2 < width <= _MOST_COLUMNS:
            marginals += [as_classes(column)[1] for column in (*x.T, *y.T)]
        marginals = [sizes for sizes in marginals if len(sizes) > 1]
        both = as_classes(first * len(y_sizes) + second)[1]
        return cls(first, second, x_sizes, y_sizes, both, k, tuple(marginals))

    @property
    def constant(self) -> bool:
        """Whether a block takes one value only. Then it carries no information."""
        return min(len(self.x_sizes), len(self.y_sizes)) == 1

    @property
    def counted(self) -> bool:
        """Whether the pairs of values repeat so often that their table is not sparse."""
        n = len(self.x)
        return not is_sparse(int((self.sizes == 1).sum()), n) and _A_PAIR * len(self.sizes) <= n

    @property
    def copied(self) -> bool:
        """Whether more than 1 % of the examples have k copies in x and y together."""
        return int(self.sizes[self.sizes > self.k].sum()) > _COPIED * len(self.x)

    @property
    def heavy(self) -> bool:
        """Whether a fifth of the examples is on atoms of x or of y, or of one of few columns."""
        return any(self._on_atoms(sizes) > _HEAVY * len(self.x) for sizes in self.marginals)

    def _on_atoms(self, sizes: Tensor) -> int:
        return int(sizes[sizes >= max(self.k + 1, min(_SHARE * len(self.x), _MANY))].sum())


def repeats_in_columns(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> bool:
    """Whether a column repeats values in more than 1 % of the examples, though the examples differ."""
    if x.shape[1] + y.shape[1] == 2:
        return False
    n = len(x)
    columns = [column for block in (x, y) for column in block.T]
    return any(1 < len(torch.unique(column)) < (1 - _COPIED) * n for column in columns)


def without_ties(
    x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n q"]]:
    """Columns as ranks, with tied values in random order: the same information, and no ties.

    Let v be uniform on [0, 1) and independent of the rest. Then F(x-) + v P(X = x) is a continuous variable. x is a
    function of it, and given x it is independent of y. So I(X;Y) stays the same (distributional transform;
    Rueschendorf, J. Stat. Plan. Inference 139, 2009). The random order depends on the values of the examples, not on
    their place. The same input gives the same output.
    """
    both = torch.cat([x, y], 1).double().cpu()
    order = content_order(both)
    draws = torch.rand(both.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    v = torch.empty_like(draws)
    v[order] = draws
    by_draw = v.argsort(0)
    by_value = both.gather(0, by_draw).argsort(dim=0, stable=True)
    ranks = torch.empty_like(both)
    places = torch.arange(len(both), dtype=torch.float64)[:, None].expand_as(ranks).contiguous()
    ranks.scatter_(0, by_draw.gather(0, by_value), places)
    return ranks[:, : x.shape[1]], ranks[:, x.shape[1] :]


def _values(block: Tensor) -> tuple[Tensor, Tensor]:
    if block.shape[1] == 1:
        return as_classes(block[:, 0])
    return torch.unique(block, dim=0, return_inverse=True, return_counts=True)[1:]
