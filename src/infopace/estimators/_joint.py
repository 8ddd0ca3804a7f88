"""Several blocks of coordinates as one space, its distance the largest of the blocks'."""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._distances import Distances, true_in_rows
from infopace.estimators._ksg import count_within
from infopace.estimators._ross import radius_among


class Joint:
    """Largest of the distances in some blocks. What bounds the error of each bounds that of the largest."""

    def __init__(self, *blocks: Distances) -> None:
        self._blocks = blocks
        self.n, self.device = blocks[0].n, blocks[0].device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        parts = [block.rows(start, stop) for block in self._blocks]
        return (
            reduce(torch.maximum, [measured for measured, _ in parts]),
            reduce(torch.maximum, [slack for _, slack in parts]),
        )

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return reduce(torch.maximum, [block.exact(i, j) for block in self._blocks])

    def subset(self, index: Tensor) -> Joint:
        return Joint(*(block.subset(index) for block in self._blocks))


class Held:
    """Distances that remember their last block of rows, for formulas that read it several times."""

    def __init__(self, source: Distances) -> None:
        self._source, self._span = source, (-1, -1)
        self._block: tuple[Tensor, Tensor]
        self.n, self.device = source.n, source.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        if self._span != (start, stop):
            self._block, self._span = self._source.rows(start, stop), (start, stop)
        return self._block

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        return self._source.exact(i, j)

    def subset(self, index: Tensor) -> Held:
        return Held(self._source.subset(index))


class SameClass:
    """Distance between labels: 0 for equal ones, and otherwise farther than any vectors are apart."""

    def __init__(self, classes: Int[Tensor, " n"]) -> None:
        self._classes = classes
        self.n, self.device = len(classes), classes.device

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        apart = self._classes[start:stop, None] != self._classes[None, :]
        exact = torch.zeros(stop - start, 1, dtype=torch.float64, device=self.device)
        return torch.where(apart, math.inf, exact), exact

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        apart = self._classes[i] != self._classes[j]
        return torch.where(apart, math.inf, torch.zeros(len(i), dtype=torch.float64, device=self.device))

    def subset(self, index: Tensor) -> SameClass:
        return SameClass(self._classes[index])


def kth_radius(distances: Distances, k: int, start: int, stop: int) -> Float[Tensor, " rows"]:
    """Canonical distance to the k-th nearest other row, for the rows start..stop."""
    measured, slack = distances.rows(start, stop)
    row = torch.arange(stop - start, device=distances.device)
    others = measured.clone()
    others[row, row + start] = math.inf
    guess = others.topk(k, largest=False).values[:, -1:]
    if not bool(slack.any()):
        return guess[:, 0]
    # |measured - canonical| <= slack for the pair and for the guess: beyond twice that the order is certain.
    inside = others < guess - 2 * slack
    i, j = ((others <= guess + 2 * slack) & ~inside).nonzero(as_tuple=True)
    return radius_among(distances.exact(i + start, j), i, k - true_in_rows(inside), stop - start)


def tied_count(
    space: Distances, radius: Float[Tensor, " rows"], start: int, stop: int
) -> Float[Tensor, " rows"]:
    """What stands for n + 1 of KSG-1 in a space with ties: max(n_<= , n_< + 1), or n_<= + 1 at radius 0.

    n_< counts the other rows nearer than the radius, n_<= those at most that far. Without ties a space whose
    distance is the radius has one row at the radius, any other has none: both give n_< + 1.
    """
    nearer = count_within(space, radius, start, stop, strict=True)
    within = count_within(space, radius, start, stop, strict=False)
    return torch.where(radius == 0, within + 1, torch.maximum(within, nearer + 1))


def tied_neighbours(
    space: Distances, radius: Float[Tensor, " rows"], start: int, stop: int
) -> Float[Tensor, " rows"]:
    """What stands for k where rows tie with the k-th neighbour: all of them, and row i too at radius 0."""
    return count_within(space, radius, start, stop, strict=False) + (radius == 0)
