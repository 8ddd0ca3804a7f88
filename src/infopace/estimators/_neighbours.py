"""Neighbour formulas with their data: distances or a tree, whichever serves, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from infopace.estimators._distances import Distances, pairwise_distances
from infopace.estimators._gao import gao
from infopace.estimators._ksg import ksg1, ksg2
from infopace.estimators._ross import ross
from infopace.estimators._scale import standardized_distances
from infopace.estimators._tree import suits_tree, tree_ksg1, tree_ross

VECTOR_FORMULAS: dict[str, Callable[[Distances, Distances, int], float]] = {
    "ksg1": ksg1,
    "ksg2": ksg2,
    "gao": gao,
}


@dataclass(frozen=True)
class Neighbours:
    """A formula with its data.

    Attributes:
        nats: The value on all rows.
        of_part: Rows (m,) -> the value on these.
        shuffled: An order (n,) of the rows -> the value with y in that order.
        distances: Of the blocks; none where a tree serves.
    """

    nats: float
    of_part: Callable[[Tensor], float]
    shuffled: Callable[[Tensor], float]
    distances: tuple[Distances, ...]


def of_labels(x: Tensor, classes: Tensor, k: int, norm: str) -> Neighbours:
    """Ross' formula on vectors x (n, d) and class numbers (n,)."""
    if suits_tree(x):
        return Neighbours(
            tree_ross(x, classes, k, norm),
            lambda part: tree_ross(x[part.to(x.device)], classes[part.to(x.device)], k, norm),
            lambda order: tree_ross(x, classes[order.to(x.device)], k, norm),
            (),
        )
    distances = pairwise_distances(x, norm)
    return Neighbours(
        ross(distances, classes, k),
        lambda part: ross(distances.subset(part.to(x.device)), classes[part.to(x.device)], k),
        lambda order: ross(distances, classes[order.to(x.device)], k),
        (distances,),
    )


def of_vectors(name: str, x: Tensor, y: Tensor, k: int, norm: str, standardize: str) -> Neighbours:
    """KSG-1, KSG-2 or Gao's formula on vectors x (n, p) and y (n, q)."""
    if name == "ksg1" and suits_tree(x, y, standardize):

        def by_tree(x: Tensor, y: Tensor) -> float:
            return tree_ksg1(x, y, k, norm, standardize)

        return Neighbours(
            by_tree(x, y),
            lambda part: by_tree(x[part.to(x.device)], y[part.to(x.device)]),
            lambda order: by_tree(x, y[order.to(x.device)]),
            (),
        )
    formula = VECTOR_FORMULAS[name]
    d_x, d_y = (standardized_distances(block, norm, standardize) for block in (x, y))
    return Neighbours(
        formula(d_x, d_y, k),
        lambda part: formula(d_x.subset(part.to(x.device)), d_y.subset(part.to(x.device)), k),
        lambda order: formula(d_x, d_y.subset(order.to(x.device)), k),
        (d_x, d_y),
    )
