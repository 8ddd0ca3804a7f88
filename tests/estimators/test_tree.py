"""Trees give the very values of the blocked path."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from infopace.estimators._ksg import ksg1
from infopace.estimators._neighbour_search import _compiled_search, _trees
from infopace.estimators._neighbour_search._distances import pairwise_distances
from infopace.estimators._neighbour_search._spaces import standardized_distances
from infopace.estimators._neighbour_search._trees import suits_tree, tree_ksg1, tree_ross
from infopace.estimators._ross import ross

NORMS = ("euclidean", "chebyshev")


def normal(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heavy(x: Tensor) -> Tensor:
    return x / torch.rand(len(x), 1, generator=torch.Generator().manual_seed(9)).double() ** 3


@pytest.fixture(params=["numba", "scipy"])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one package that is there to search with."""
    monkeypatch.setattr(_trees, "find_spec", lambda name: find_spec(name) if name == request.param else None)
    return request.param


# Where rounding decides: copies, grids, few digits, far from 0, many scales, squares that under- or overflow.
KINDS = {
    "normal": lambda x: x,
    "float32": lambda x: x.float(),
    "bfloat16": lambda x: x.bfloat16(),
    "grid": lambda x: (x / 0.1).round() * 0.1,
    "integers": lambda x: (4 * x).round(),
    "relu": lambda x: x.clamp(min=0),
    "far": lambda x: x + 1e8,
    "heavy": heavy,
    "tiny": lambda x: x * 1e-151,
    "huge": lambda x: x * 1e150,
    "copies": lambda x: x[torch.arange(len(x)) // 3 * 3],
    "constant": torch.zeros_like,
    "constant column": lambda x: torch.cat([x[:, 1:], torch.full((len(x), 1), 0.1).double()], 1),
}


def blocked_ksg1(x: Tensor, y: Tensor, k: int, norm: str, standardize: str) -> float:
    dx, dy = (standardized_distances(block, norm, standardize) for block in (x, y))
    return ksg1(dx, dy, k)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_ross_to_the_bit(package: str, kind: str, width: int, norm: str) -> None:
    x = KINDS[kind](normal(300, width, 0))
    labels = torch.randint(4, (300,), generator=torch.Generator().manual_seed(1))
    # A class of two examples takes one neighbour, a class of one none.
    labels[:2], labels[2] = 7, 8
    assert tree_ross(x, labels, 3, norm) == ross(pairwise_distances(x, norm), labels, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", [(1, 1), (2, 1), (3, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_ksg1_to_the_bit(package: str, kind: str, widths: tuple[int, int], norm: str) -> None:
    x, y = normal(300, widths[0], 2), normal(300, widths[1], 3)
    y[:, 0] += x[:, 0]
    x, y = KINDS[kind](x), KINDS[kind](y)
    for standardize in ("block", "columns", "none"):
        value = blocked_ksg1(x, y, 3, norm, standardize)
        assert tree_ksg1(x, y, 3, norm, standardize) == value


def test_blocks_of_very_different_scale_and_many_neighbours(package: str) -> None:
    x, y = 1e6 * normal(200, 2, 4), normal(200, 3, 5)
    for k in (1, 20, 199):
        assert tree_ksg1(x, y, k, "euclidean", "none") == blocked_ksg1(x, y, k, "euclidean", "none")


def test_examples_in_order_of_their_leaves_are_put_back(package: str) -> None:
    x = normal(400, 3, 6)
    labels = (x[:, 0] > 0).long()
    order = torch.randperm(400, generator=torch.Generator().manual_seed(7))
    value = tree_ross(x, labels, 3, "euclidean")
    assert tree_ross(x[order], labels[order], 3, "euclidean") == pytest.approx(value, abs=1e-13)


def test_no_class_of_two_examples_leaves_nothing() -> None:
    assert math.isnan(tree_ross(normal(5, 2, 8), torch.arange(5), 3, "euclidean"))


def test_trees_are_for_many_narrow_examples_without_many_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trees, "_FEWEST", 1000)
    x = normal(1500, 3, 9)
    assert suits_tree(x)
    assert suits_tree(x, x[:, :1])
    assert not suits_tree(x[:999])
    assert not suits_tree(normal(1500, 40, 10))
    assert not suits_tree(x.clamp(min=0))
    # A column of few values is no harm beside one of many: it is sorted, not searched.
    assert suits_tree(x, (x[:, :1] > 0).float())
    assert not suits_tree(x[:, :1], x.clamp(min=0)[:, 1:])


def test_a_caller_may_name_the_tree() -> None:
    x, y = normal(300, 2, 12), normal(300, 1, 13)
    labels = torch.arange(300) % 2
    assert tree_ross(x, labels, compiled=True) == tree_ross(x, labels, compiled=False)
    assert tree_ksg1(x, y, compiled=True) == tree_ksg1(x, y, compiled=False)


def test_without_either_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trees, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    with pytest.raises(ImportError, match=r'pip install "infopace\[tree\]"'):
        tree_ross(normal(20, 2, 11), torch.arange(20) % 2, 3, "euclidean")


def test_without_either_the_blocks_serve(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(6000, 1, generator=torch.Generator().manual_seed(0))
    assert suits_tree(x)
    monkeypatch.setattr(_trees, "find_spec", lambda name: None)
    assert not suits_tree(x)


@pytest.mark.parametrize("package", ["scipy"], indirect=True)
def test_without_numba_scipy_searches(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "infopace.estimators._neighbour_search._compiled_search", None)
    monkeypatch.delattr("infopace.estimators._neighbour_search._compiled_search")
    x, labels = normal(60, 2, 12), torch.arange(60) % 2
    assert tree_ross(x, labels, 3, "euclidean") == ross(pairwise_distances(x, "euclidean"), labels, 3)


@pytest.mark.parametrize("package", ["numba"], indirect=True)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [5, 31, 32, 33, 64, 65, 97, 1100])
def test_leaves_full_or_not(package: str, n: int, norm: str) -> None:
    x, y = normal(n, 3, 13), normal(n, 7, 14)
    y[:, 0] += x[:, 0]
    assert tree_ksg1(x, y, 3, norm, "block") == blocked_ksg1(x, y, 3, norm, "block")
    labels = (x[:, 0] > 0.1).long()
    assert tree_ross(y, labels, 3, norm) == ross(pairwise_distances(y, norm), labels, 3)


@pytest.mark.parametrize("package", ["numba"], indirect=True)
def test_threads_share_the_leaves_out(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(1100, 4, 15), normal(1100, 1, 16)
    value = tree_ksg1(x, y, 3, "euclidean", "block")
    monkeypatch.setattr(_compiled_search.torch, "get_num_threads", lambda: 3)
    assert tree_ksg1(x, y, 3, "euclidean", "block") == value


def test_counts_of_whole_nodes_of_a_tree() -> None:
    """Radii that cover much of the sample, in columns of very different width."""
    x = normal(700, 2, 17) * torch.tensor([1.0, 1e-3], dtype=torch.float64)
    distances = pairwise_distances(x, "euclidean")
    radius = distances.exact(torch.arange(700), torch.arange(700).flip(0))
    every = torch.arange(700)
    for closed in (False, True):
        wanted = []
        for i in range(700):
            apart = distances.exact(torch.full_like(every, i), every)
            hit = apart <= radius[i] if closed else apart < radius[i]
            wanted.append(int(hit.sum()) - int(hit[i]))
        found = _compiled_search.count_within(
            x.numpy(), 1.0, True, radius.numpy(), torch.full((700,), closed).numpy()
        )
        assert found.tolist() == wanted
