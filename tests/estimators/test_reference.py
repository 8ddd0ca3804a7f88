"""The fast estimators against the slow ones in reference.py: equal counts, equal values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from infopace.estimators import _ksg, _ross
from infopace.estimators._neighbour_search import _distances

from . import reference
from .samples import ANY, GRIDS, Examples, labels, lattice, neighbour_information, normal

NORMS = ("euclidean", "chebyshev")
KSG: dict[str, Callable[[Examples, Examples, int], float]] = {"ksg1": reference.ksg1, "ksg2": reference.ksg2}
SHAPES = ((60, 1), (60, 3), (60, 6), (40, 40))


def pair(x: Examples, norm: str) -> _distances.Distances:
    return _distances.pairwise_distances(torch.as_tensor(x), norm)


def fast_ross_counts(x: Examples, y: Examples, norm: str, k: int) -> list[tuple[int, int]]:
    classes, sizes = torch.unique(torch.as_tensor(y), return_inverse=True, return_counts=True)[1:]
    neighbours = (sizes[classes] - 1).clamp(max=k)
    own, every = _ross._counts(pair(x, norm), classes, neighbours, 0, len(x))
    return list(zip(own.tolist(), every.tolist(), strict=True))


def check_ross(x: Examples, y: Examples, table: Examples, norm: str, k: int) -> None:
    expected = reference.ross_counts(table, y.tolist(), k)
    if None not in expected:
        assert fast_ross_counts(x, y, norm, k) == [(row[0], row[2]) for row in expected if row]
    result = neighbour_information(x, y, k=k, norm=norm, std_error=False)
    assert result.nats == pytest.approx(reference.ross(table, y.tolist(), k), abs=1e-12)
    assert result.n == sum(row is not None for row in expected)


def check_ksg(x: Examples, y: Examples, tables: tuple[Examples, Examples], norm: str, k: int) -> None:
    counts = _ksg.ksg1_counts(pair(x, norm), pair(y, norm), k, 0, len(x))
    fast = [tuple(int(value) for value in row) for row in torch.stack(counts, 1)]
    assert fast == reference.ksg1_counts(*tables, k)
    for name, slow in KSG.items():
        result = neighbour_information(
            x, y, k=k, norm=norm, estimator=name, standardize="none", std_error=False
        )
        assert result.nats == pytest.approx(slow(*tables, k), abs=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("kind", GRIDS)
def test_ross_counts_ties_exactly(kind: str, n: int, d: int, norm: str) -> None:
    make, unit = GRIDS[kind]
    x = make(n, d)
    check_ross(x, labels(n, 3), reference.exact_distances(x, norm, unit), norm, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("kind", ANY)
def test_ross_equals_reference(kind: str, n: int, d: int, norm: str) -> None:
    x = ANY[kind](n, d)
    check_ross(x, labels(n, 3), reference.distances(x, norm), norm, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("n", "d"), SHAPES[1:])
@pytest.mark.parametrize("kind", GRIDS)
def test_ksg_counts_ties_exactly(kind: str, n: int, d: int, norm: str) -> None:
    make, unit = GRIDS[kind]
    # Targets on the grid of x, so that x- and y-distances tie with each other too.
    x, y = make(n, d), lattice(n, 2, 3, seed=9) * unit
    tables = reference.exact_distances(x, norm, unit), reference.exact_distances(y, norm, unit)
    check_ksg(x, y, tables, norm, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("kind", ANY)
def test_ksg_equals_reference(kind: str, n: int, d: int, norm: str) -> None:
    x, y = ANY[kind](n, d), normal(n, 2, seed=10)
    check_ksg(x, y, (reference.distances(x, norm), reference.distances(y, norm)), norm, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", ANY)
def test_block_standardisation_is_that_of_the_reference(kind: str, norm: str) -> None:
    x, y = ANY[kind](60, 6), normal(60, 2, seed=10) * 50
    tables = [reference.distances(z, norm) * reference.scaled(z, norm) for z in (x, y)]
    for name, slow in KSG.items():
        result = neighbour_information(x, y, norm=norm, estimator=name, standardize="block", std_error=False)
        assert result.nats == pytest.approx(slow(tables[0], tables[1], 3), abs=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("d", [1, 2, 6])
def test_ties_of_the_data_are_ties_after_columns_are_standardised(d: int, norm: str) -> None:
    """3/7 - 2/7 and 2/7 - 1/7 are not the same float: scaling must not come before the difference."""
    for far in (0.0, 1e6):
        x, y = lattice(50, d, 9) + far, lattice(50, 1, 40, seed=9)
        tables = reference.exact_columns(x, norm), reference.exact_columns(y, norm)
        for name, slow in KSG.items():
            result = neighbour_information(
                x, y, norm=norm, estimator=name, standardize="columns", std_error=False
            )
            assert result.nats == pytest.approx(slow(*tables, 3), abs=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("k", [1, 2, 7, 38, 39])
def test_smallest_and_largest_k(k: int, norm: str) -> None:
    for x in (normal(40, 6), lattice(40, 6)):
        table = reference.distances(x, norm)
        check_ross(x, labels(40, 2), table, norm, k)
        y = lattice(40, 1, 5)
        check_ksg(x, y, (table, reference.distances(y, norm)), norm, k)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_few_examples(n: int) -> None:
    for d in (1, 5):
        x = normal(n, d)
        table = reference.distances(x, "euclidean")
        for k in range(1, n):
            check_ross(x, np.arange(n) // 2, table, "euclidean", k)
            check_ksg(
                x, normal(n, 1, 3), (table, reference.distances(normal(n, 1, 3), "euclidean")), "euclidean", k
            )


@pytest.mark.parametrize("sizes", [(30, 3, 2), (20, 1, 1, 5), (1, 1, 2), (4, 4, 4), (2, 2, 1)])
@pytest.mark.parametrize("make", [normal, lattice])
def test_small_classes_and_singletons(make: Callable[[int, int], Examples], sizes: tuple[int, ...]) -> None:
    y = np.repeat(np.arange(len(sizes)), sizes)[np.random.default_rng(0).permutation(sum(sizes))]
    for d in (1, 6):
        x = make(len(y), d)
        check_ross(x, y, reference.distances(x, "euclidean"), "euclidean", 3)


@pytest.mark.parametrize("estimator", ["ross", "ksg1"])
def test_wide_examples_one_rounding_step_apart(estimator: str) -> None:
    """Distances 2^46 and 2^46 + 1: the matrix product gives both the same value, the counts must not."""
    generator = np.random.default_rng(0)
    n, d = 40, 12
    x = np.zeros((n, d))
    x[np.arange(n), generator.integers(0, d - 2, n)] = 2.0**22
    x[:, -1] = generator.integers(0, 2, n)
    x += 2.0**20
    table = reference.exact_distances(x, "euclidean")
    if estimator == "ross":
        check_ross(x, labels(n, 2), table, "euclidean", 3)
    else:
        y = lattice(n, 1)
        check_ksg(x, y, (table, reference.exact_distances(y, "euclidean")), "euclidean", 3)


def test_psi_of_the_reference() -> None:
    assert [reference.psi(m) for m in (1, 2, 1000)] == pytest.approx(
        [-0.5772156649, 1 - 0.5772156649, math.log(1000) - 1 / 2000 - 1 / 12e6], abs=1e-9
    )
