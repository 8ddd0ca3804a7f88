"""Shuffled targets: p-values that are uniform where there is nothing to see."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from infopace.estimators._gaussian import gaussian
from infopace.estimators._ksg import ksg1
from infopace.estimators._neighbour_search._distances import pairwise_distances
from infopace.estimators._permutation import p_value, permutation_null
from infopace.estimators._ross import ross


def test_the_formula() -> None:
    null = torch.tensor([0.1, 0.2, 0.2, 0.6], dtype=torch.float64)
    assert p_value(0.7, null) == 1 / 5
    assert p_value(0.2, null) == 4 / 5
    assert p_value(-1.0, null) == 1.0
    assert p_value(math.inf, null) == 1 / 5


def test_the_same_permutations_every_time_and_every_row_once() -> None:
    seen: list[Tensor] = []

    def first(index: Tensor) -> float:
        seen.append(index)
        return float(index[0])

    null = permutation_null(first, 10, 5, seed=3)
    assert torch.equal(null, permutation_null(first, 10, 5, seed=3))
    assert not torch.equal(null, permutation_null(first, 10, 5, seed=4))
    assert all(torch.equal(index.sort().values, torch.arange(10)) for index in seen)


def test_reordered_distances_are_those_of_reordered_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 2, generator=generator), torch.randn(60, 3, generator=generator)
    dx, dy = pairwise_distances(x, "euclidean"), pairwise_distances(y, "euclidean")
    null = permutation_null(lambda index: ksg1(dx, dy.subset(index), 3), 60, 4)
    again = permutation_null(lambda index: ksg1(dx, pairwise_distances(y[index], "euclidean"), 3), 60, 4)
    assert torch.equal(null, again)


def uniform(null: Tensor, value: float, generator: torch.Generator) -> float:
    """The rank of the value among all, ties split at random: uniform on (0, 1) if all orders are alike."""
    above, equal = int((null > value).sum()), 1 + int((null == value).sum())
    return (above + equal * float(torch.rand((), generator=generator))) / (1 + len(null))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "vectors"])
def test_uniform_under_the_null(kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    ranks, values = [], []
    for dataset in range(200):
        x = torch.randn(24, 2, generator=generator)
        if kind == "labels":
            y = torch.arange(24) % 2
            distances = pairwise_distances(x, "euclidean")
            estimate = lambda index, d=distances, y=y: ross(d, y[index], 3)  # noqa: E731
        else:
            y = torch.randn(24, 1, generator=generator)
            estimate = lambda index, x=x, y=y: gaussian(x, y[index])  # noqa: E731
        value = estimate(torch.arange(24))
        null = permutation_null(estimate, 24, 19, seed=dataset)
        values.append(p_value(value, null))
        ranks.append(uniform(null, value, generator))
    assert kstest(ranks, "uniform").pvalue > 0.01
    # With ties the p-value itself is larger than uniform, never smaller: 20 rejections at 0.1 are expected.
    assert sum(p <= 0.1 for p in values) <= 33


def test_small_where_there_is_something_to_see() -> None:
    x = torch.randn(80, 3, generator=torch.Generator().manual_seed(2))
    labels = (x[:, 0] > 0).long()
    distances = pairwise_distances(x, "euclidean")
    null = permutation_null(lambda index: ross(distances, labels[index], 3), 80, 49)
    assert p_value(ross(distances, labels, 3), null) == 1 / 50
    assert abs(float(null.mean())) < 0.05


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="got n = 1"):
        permutation_null(lambda _: 0.0, 1, 5)
    with pytest.raises(ValueError, match="got 0"):
        permutation_null(lambda _: 0.0, 5, 0)
    with pytest.raises(ValueError, match="got nan"):
        permutation_null(lambda _: math.nan, 5, 2)
    with pytest.raises(ValueError, match="got nan and 1"):
        p_value(math.nan, torch.zeros(1))
    with pytest.raises(ValueError, match="0 of them"):
        p_value(0.0, torch.zeros(0))
