"""Which way finds the neighbours: distances, sorted values, distinct vectors or a tree, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from infopace._typing import Float
from infopace.estimators._gao import gao_terms
from infopace.estimators._ksg import ksg1, ksg1_terms, ksg2_terms
from infopace.estimators._neighbour_search import _counts
from infopace.estimators._neighbour_search._distances import (
    Distances,
    direct_distances,
    pairwise_distances,
)
from infopace.estimators._neighbour_search._few_values import few_ross_terms, takes_few_values
from infopace.estimators._neighbour_search._sorted_line import line_ross_terms, line_ross_values
from infopace.estimators._neighbour_search._spaces import Scaled, scale_factor, standardized_distances
from infopace.estimators._neighbour_search._trees import suits_tree, tree_ksg1_terms, tree_ross_terms
from infopace.estimators._neighbour_search._two_lines import lines_ksg1_terms, lines_ksg1_values
from infopace.estimators._ross import ross_terms

# From this many examples on sorting one column is as fast as comparing all pairs, and from 500 on faster (measured).
_FEWEST_SORTED = 200
# Below this many examples the distances of all pairs are cheap enough to measure how far neighbours are.
_MOST_MEASURED = 5_000
# Parts of at most so many examples in two single columns are faster compared pair by pair.
_MOST_COMPARED = 500

VECTOR_FORMULAS: dict[str, Callable[[Distances, Distances, int], Tensor]] = {
    "ksg1": lambda x, y, k: ksg1_terms(x, y, k)[0],
    "ksg2": ksg2_terms,
    "gao": gao_terms,
}


@dataclass(frozen=True)
class Neighbours:
    """A neighbour formula with its data.

    Attributes:
        terms: (n,) one term for each example; `_counts.value` makes the value of them.
        of_part: (m,) numbers of examples -> the value on these.
        shuffled: (n,) an order of the examples -> the value with y in that order.
        distances: Those of the blocks; none where all pairs were not compared.
        of_parts: The values on several parts in one pass, where that is faster than one after the other.
    """

    terms: Float[Tensor, " n"]
    of_part: Callable[[Tensor], float]
    shuffled: Callable[[Tensor], float]
    distances: tuple[Distances, ...]
    of_parts: Callable[[list[Tensor]], list[float]] | None = None

    @property
    def nats(self) -> float:
        """The value on all examples."""
        return _counts.value(self.terms)

    @property
    def pointwise(self) -> Float[Tensor, " n"]:
        """What each example contributes to the value."""
        return _counts.pointwise(self.terms)


def of_labels(x: Tensor, classes: Tensor, k: int, norm: str) -> Neighbours:
    """Ross' formula on vectors x (n, d) and class numbers (n,)."""
    if x.shape[1] == 1 and len(x) >= _FEWEST_SORTED:

        def on_line(x: Tensor, classes: Tensor) -> float:
            return _counts.value(line_ross_terms(x, classes, k, norm))

        return Neighbours(
            line_ross_terms(x, classes, k, norm).to(x.device),
            lambda part: on_line(x[part.to(x.device)], classes[part.to(x.device)]),
            lambda order: on_line(x, classes[order.to(x.device)]),
            # Only for the caution "beyond-reach", which measures how far the neighbours are.
            (direct_distances(x, norm),) if len(x) < _MOST_MEASURED else (),
            lambda parts: line_ross_values(x, classes, k, norm, parts),
        )
    if suits_tree(x):
        return _of_terms(lambda x, classes: tree_ross_terms(x, classes, k, norm), x, classes)
    if len(x) >= _MOST_MEASURED and takes_few_values(x):
        return _of_terms(lambda x, classes: few_ross_terms(x, classes, k, norm), x, classes)
    distances = pairwise_distances(x, norm)
    return Neighbours(
        ross_terms(distances, classes, k),
        lambda part: _counts.value(
            ross_terms(distances.subset(part.to(x.device)), classes[part.to(x.device)], k)
        ),
        lambda order: _counts.value(ross_terms(distances, classes[order.to(x.device)], k)),
        (distances,),
    )


def of_vectors(name: str, x: Tensor, y: Tensor, k: int, norm: str, standardize: str) -> Neighbours:
    """KSG-1, KSG-2 or Gao's formula on vectors x (n, p) and y (n, q)."""
    if name == "ksg1" and len(x) >= _FEWEST_SORTED and norm == "euclidean" and standardize != "columns":
        found = _on_two_lines(x, y, k, standardize)
        if found is not None:
            return found
    if name == "ksg1" and suits_tree(x, y, standardize):
        return _of_terms(lambda x, y: tree_ksg1_terms(x, y, k, norm, standardize), x, y)
    formula = VECTOR_FORMULAS[name]
    d_x, d_y = (standardized_distances(block, norm, standardize) for block in (x, y))
    return Neighbours(
        formula(d_x, d_y, k),
        lambda part: _counts.value(formula(d_x.subset(part.to(x.device)), d_y.subset(part.to(x.device)), k)),
        lambda order: _counts.value(formula(d_x, d_y.subset(order.to(x.device)), k)),
        (d_x, d_y),
    )


def _of_terms(terms: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Neighbours:
    """A formula on the samples themselves, without distances that are kept; y are labels or a vector."""

    def of(x: Tensor, y: Tensor) -> float:
        return _counts.value(terms(x, y))

    return Neighbours(
        terms(x, y),
        lambda part: of(x[part.to(x.device)], y[part.to(x.device)]),
        lambda order: of(x, y[order.to(x.device)]),
        (),
    )


def _on_two_lines(x: Tensor, y: Tensor, k: int, standardize: str) -> Neighbours | None:
    """KSG-1 between two single columns; None for others, and where examples have k copies."""
    if x.shape[1] > 1 or y.shape[1] > 1:
        return None
    factors = (scale_factor(x, "euclidean", standardize), scale_factor(y, "euclidean", standardize))
    x_values, y_values = x[:, 0].double(), y[:, 0].double().to(x.device)
    terms = lines_ksg1_terms(x_values, y_values, k, factors)
    if terms is None:
        return None
    return Neighbours(
        terms,
        lambda part: _of_lines(x_values[part.to(x.device)], y_values[part.to(x.device)], k, factors),
        lambda order: _of_lines(x_values, y_values[order.to(x.device)], k, factors),
        (),
        lambda parts: _of_parts_of_lines(x_values, y_values, k, factors, parts),
    )


def _of_lines(x: Tensor, y: Tensor, k: int, factors: tuple[float, float]) -> float:
    """The value of columns (n,). They may be some of the examples: the factors are those of the whole."""
    terms = lines_ksg1_terms(x, y, k, factors)
    if terms is not None:
        return _counts.value(terms)
    d_x, d_y = (
        Scaled(pairwise_distances(block[:, None]), factor)
        for block, factor in zip((x, y), factors, strict=True)
    )
    return ksg1(d_x, d_y, k)


def _of_parts_of_lines(
    x: Tensor, y: Tensor, k: int, factors: tuple[float, float], parts: list[Tensor]
) -> list[float]:
    """The value of each part of the examples; a part has their numbers."""
    parts = [part.to(x.device) for part in parts]
    small = max(map(len, parts)) <= _MOST_COMPARED
    found = lines_ksg1_values(x, y, k, factors, parts) if small else None
    return [_of_lines(x[part], y[part], k, factors) for part in parts] if found is None else found
