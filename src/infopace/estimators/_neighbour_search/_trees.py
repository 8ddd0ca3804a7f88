"""Ross and KSG-1 for a million examples in few columns: neighbours by a tree, the counts of blocks of distances.

With numba the compiled tree searches (`_compiled_search`), without it scipy's (`_scipy_tree`). The values are equal.
"""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes
from infopace.estimators._neighbour_search._counts import value
from infopace.estimators._neighbour_search._distances import pairwise_distances, tree_sum
from infopace.estimators._neighbour_search._scipy_tree import Nearest, count_within_tree, nearest
from infopace.estimators._neighbour_search._spaces import Joint, standardized, standardized_distances

# From this many examples, and up to this width (10 columns and a target), scipy's tree took less than half of the
# processor time of blocks in every case (results/estimators_tree.jsonl). At width 10 and 100,000 examples the compiled
# tree took less than a third of scipy's. More columns were not tried.
_FEWEST = 5_000
_WIDTH = 11
# A ball around an example with c copies costs c visits. With this many, copies cost what neighbours do.
_COPIES = 100

Places = NDArray[np.int64]
Counts = NDArray[np.float64]


def suits_tree(
    x: Float[Tensor, "n p"], y: Float[Tensor, "n q"] | None = None, standardize: str = "block"
) -> bool:
    """Whether a tree is faster: many examples, few columns together, and no example with very many copies.

    Copies in a block of one column do not matter, unless x and y together are copies.
    """
    # Without the extra `tree` the blocks are slower and give the same value.
    if not (_has("scipy") or (_has("numba") and standardize != "columns")):
        return False
    if len(x) < _FEWEST or x.shape[1] + (0 if y is None else y.shape[1]) > _WIDTH:
        return False
    blocks = [x] if y is None else [torch.cat([x.double(), y.double()], 1), x, y]
    return all(_most_copies(block) <= _COPIES for block in blocks if block is blocks[0] or block.shape[1] > 1)


def _most_copies(x: Tensor) -> int:
    """Most examples that are equal, or a few more: those with the same weighted sum count as equal."""
    weights = torch.arange(1, x.shape[1] + 1, dtype=torch.float64, device=x.device).sqrt()
    return int(torch.unique(tree_sum(x.double() * weights, 1), return_counts=True)[1].max())


def tree_ross(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    k: int = 3,
    norm: str = "euclidean",
    compiled: bool | None = None,
) -> float:
    """`ross` by trees: one a class for the radius, one of all examples for the counts.

    The value is that of `ross` on `pairwise_distances`, to the bit, for a million examples.

    Args:
        x: (n, d) examples.
        labels: (n,) class of each example.
        k: Neighbours within the class, at least 1.
        norm: "euclidean" or "chebyshev".
        compiled: Whether numba's tree searches, or scipy's. None: numba's where numba is installed.

    Raises:
        ImportError: the package of the tree is not installed.

    Source: Ross, PLoS ONE 9(2): e87357 (2014), with counts that include ties.
    """
    return value(tree_ross_terms(x, labels, k, norm, compiled))


def tree_ross_terms(
    x: Float[Tensor, "n d"], labels: Int[Tensor, " n"], k: int, norm: str, compiled: bool | None = None
) -> Float[Tensor, " m"]:
    """`ross_terms`, by trees."""
    classes, sizes = as_classes(labels.cpu())
    kept = (sizes[classes] > 1).nonzero().squeeze(1)
    if len(kept) == 0:
        return torch.empty(0, dtype=torch.float64)
    classes, sizes = as_classes(labels.cpu()[kept])
    x = x.cpu()[kept].double()
    members = [part.numpy() for part in torch.argsort(classes, stable=True).split(sizes.tolist())]
    count = _ross_compiled if _takes_compiled(compiled) else _ross_by_scipy
    own_class, all_examples = map(torch.from_numpy, count(x, members, k, norm))
    return _psi(own_class) - _psi(sizes[classes]) - _psi(all_examples)


def _ross_compiled(x: Tensor, members: list[Places], k: int, norm: str) -> tuple[Places, Counts]:
    """Examples of the own class, and of any, within the radius of each; `members` are the examples of each class."""
    from infopace.estimators._neighbour_search import _compiled_search as search
    from infopace.estimators._neighbour_search._compiled_groups import nearest_in_groups

    points, squared = x.numpy(), norm == "euclidean"
    radius, own_class = nearest_in_groups(points, members, squared, k)
    closed = np.ones(len(x), dtype=bool)
    return own_class, search.count_within(points, 1.0, squared, radius, closed)


def _ross_by_scipy(x: Tensor, members: list[Places], k: int, norm: str) -> tuple[Places, Counts]:
    """`_ross_compiled`, where numba is missing."""
    distances, points, p, n = pairwise_distances(x, norm), x.numpy(), _order(norm), len(x)
    found = Nearest(np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64))
    for own in members:
        size = min(k, len(own) - 1)
        inside = nearest(points[own], own, distances, size, p, squared=p == 2, stretch=1.0)
        for whole, part in zip(found, inside, strict=True):
            whole[own] = part
    return found.within, count_within_tree(points, distances, 1.0, p, found, np.ones(n, dtype=bool))


def tree_ksg1(
    x: Float[Tensor, "n p"],
    y: Float[Tensor, "n q"],
    k: int = 3,
    norm: str = "euclidean",
    standardize: str = "block",
    compiled: bool | None = None,
) -> float:
    """`ksg1` by trees: one of both blocks for the radius, one of each for the counts.

    The value is that of `ksg1` on `standardized_distances`, to the bit, for a million examples.

    Args:
        x: (n, p) examples.
        y: (n, q) examples.
        k: Neighbours, 1..n-1.
        norm: Distance inside a block, "euclidean" or "chebyshev".
        standardize: Scale of the blocks, as for `standardized_distances`.
        compiled: Whether numba's tree searches, or scipy's. None: numba's where numba is installed. Several columns
            that are scaled each by its own deviation always take scipy's.

    Raises:
        ImportError: the package of the tree is not installed.

    Source: Kraskov et al., Phys. Rev. E 69, 066138 (2004), eq. 8.
    """
    return value(tree_ksg1_terms(x, y, k, norm, standardize, compiled))


def tree_ksg1_terms(
    x: Float[Tensor, "n p"],
    y: Float[Tensor, "n q"],
    k: int,
    norm: str,
    standardize: str,
    compiled: bool | None = None,
) -> Float[Tensor, " n"]:
    """`ksg1_terms`, by trees."""
    # The compiled tree computes distances from coordinates. Columns with a scale each are scaled after the difference,
    # which scipy's path leaves to the canonical distances.
    weighted = standardize == "columns" and max(x.shape[1], y.shape[1]) > 1
    count = _ksg1_compiled if _takes_compiled(compiled) and not weighted else _ksg1_by_scipy
    neighbours, n_x, n_y = map(torch.from_numpy, count(x.cpu(), y.cpu(), k, norm, standardize))
    return _psi(neighbours) - _psi(n_x + 1) - _psi(n_y + 1)


def _ksg1_compiled(
    x: Tensor, y: Tensor, k: int, norm: str, standardize: str
) -> tuple[Places, Counts, Counts]:
    """What replaces k, and the examples nearer than the radius in x and in y.

    At radius 0 nothing is nearer. Examples with copies count those, as in `ksg1`.
    """
    from infopace.estimators._neighbour_search import _compiled_search as search

    squared = norm == "euclidean"
    scaled = (standardized(block, norm, standardize) for block in (x, y))
    blocks = [(matrix.double().numpy(), factor) for matrix, factor in scaled]
    radius, within = search.nearest(blocks, squared, k)
    copied = radius == 0
    n_x, n_y = (search.count_within(points, factor, squared, radius, copied) for points, factor in blocks)
    return np.where(copied, within + 1, k), n_x, n_y


def _ksg1_by_scipy(
    x: Tensor, y: Tensor, k: int, norm: str, standardize: str
) -> tuple[Places, Counts, Counts]:
    """`_ksg1_compiled`, where numba is missing.

    scipy's tree has no norm D that is the larger of two Euclidean ones. But D <= |(x, y)| <= sqrt(2) D. So the k
    nearest by D are among the examples within sqrt(2) of the k-th by the norm of x and y as one vector.
    """
    n, p = len(x), _order(norm)
    spaces, joined = [], []
    for block in (x, y):
        matrix, factor = standardized(block, norm, standardize)
        points = matrix.double().numpy()
        spaces.append((points, standardized_distances(block, norm, standardize), factor))
        joined.append((points - points.mean(0)) * (math.sqrt(factor) if p == 2 else factor))
    both = np.concatenate(joined, 1)
    # Two blocks of one column each: the larger distance is that of the largest coordinate.
    tree_norm = math.inf if both.shape[1] == 2 else p
    found = nearest(
        both,
        np.arange(n),
        Joint(*(distances for _, distances, _ in spaces)),
        k,
        tree_norm,
        squared=p == 2,
        stretch=math.sqrt(2) if tree_norm == 2 else 1.0,
    )
    copied = found.radius == 0
    n_x, n_y = (
        count_within_tree(points, distances, factor, p, found, copied) for points, distances, factor in spaces
    )
    return np.where(copied, found.within + 1, k), n_x, n_y


def _takes_compiled(compiled: bool | None) -> bool:
    if compiled and not _has("numba"):
        raise ImportError('compiled neighbour trees need numba: pip install "infopace[tree]"')
    return _has("numba") if compiled is None else compiled


def _has(package: str) -> bool:
    return find_spec(package) is not None


def _order(norm: str) -> float:
    return 2.0 if norm == "euclidean" else math.inf


def _psi(counts: Tensor) -> Tensor:
    return torch.digamma(counts.double())
