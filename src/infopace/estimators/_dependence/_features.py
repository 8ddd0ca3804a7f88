"""What functions of x and of y share that were chosen on other examples: neighbours in few columns find far more."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._dependence._scores import content_order, normal_scores, uniform_scores
from infopace.estimators._neighbour_search._choose import of_labels, of_vectors

# Waves of a column, and examples of a half for each feature of a block.
_MOST_WAVES, _EXAMPLES_A_FEATURE = 8, 4
# Up to this width a block has the products of its columns.
_MOST_MULTIPLIED = 12
# Ridge of the features, which have unit variance.
_RIDGE = 0.2
# Pairs of functions that neighbours compare, 1 .. 3 of them.
_MOST_PAIRS = 3
# Columns of a block that are compared by themselves.
_LEADING = 2
# With fewer examples the functions are noise.
_FEWEST = 200
# More examples show hardly more of the functions.
_MOST = 2_000
# A difference counts from so many standard errors on.
CLEAR = 2.5
# Neighbours share neighbours; see `_calibrated`.
_DEPENDENCE = 1.4


@dataclass(frozen=True)
class Projected:
    """What neighbours find in the leading pairs of functions.

    Attributes:
        nats: (m,) KSG-1 in the first 1, 2 .. pairs, and in the two columns of each block that share most, on examples
            that the functions and columns were not chosen on.
        spread: (m,) standard errors.
    """

    nats: Tensor
    spread: Tensor

    def highest(self, value: float) -> tuple[float, float] | None:
        """The most that is clearly above a value, and its standard error; None where nothing is."""
        clear = torch.where(self.nats - value > CLEAR * self.spread, self.nats, -math.inf)
        best = int(clear.argmax())
        return (float(clear[best]), float(self.spread[best])) if float(clear[best]) > -math.inf else None


def projected(u: Float[Tensor, "n d"], p: int, k: int) -> Projected | None:
    """KSG in functions of uniform scores whose first p columns are x; None with few examples or too many columns.

    Features of a block are the normal scores z_i, waves cos(pi m u_i) and products z_i z_j. Canonical correlations of
    both blocks' features, with a ridge, give pairs of functions a(x), b(y) on one half of the examples. KSG measures
    I(a(X); b(Y)) <= I(X;Y) on the other half, where nothing was chosen. The halves then change places. At most 2,000
    examples take part. The two columns of each block whose features share most with the other are compared too.
    """
    u = _some(u)
    blocks = _both(u[:, :p], u[:, p:])
    if blocks is None:
        return None
    found, z = [], normal_scores(u)
    for train, test in _halves(len(u)):
        x, y = (features[train] for features, _ in blocks)
        weights = _canonical(x, y)
        a, b = (_scores(block[0][test] @ weight) for block, weight in zip(blocks, weights, strict=True))
        shared = (x.T @ y / len(x)).square()
        of_x = z[test][:, _leading(shared.sum(1), blocks[0][1])]
        of_y = z[test][:, p + _leading(shared.sum(0), blocks[1][1])]
        functions = [_ksg(a[:, :m], b[:, :m], k) for m in range(1, _MOST_PAIRS + 1)]
        found.append([*functions, _ksg(of_x, of_y, k)])
    return _joined(found)


def projected_on_classes(x: Float[Tensor, "n d"], classes: Int[Tensor, " n"], k: int) -> Projected | None:
    """The same for classes (n,): Ross' estimate in the functions of x that separate them best."""
    u = uniform_scores(x)
    order = content_order(u)
    u = _some(torch.cat([u, classes[:, None].double()], 1)[order])
    u, classes = u[:, :-1], u[:, -1].long()
    features, owners = _features(u, len(u) // 2 // _EXAMPLES_A_FEATURE)
    if len(u) < _FEWEST or not features.shape[1]:
        return None
    members = torch.nn.functional.one_hot(classes).double()
    members = (members - members.mean(0))[:, :-1]
    found = []
    for train, test in _halves(len(u)):
        a = _scores(features[test] @ _canonical(features[train], members[train])[0])
        shared = (features[train].T @ members[train] / len(members)).square().sum(1)
        leading = normal_scores(u[test])[:, _leading(shared, owners)]
        spaces = [a[:, :m] for m in sorted({1, a.shape[1]})]
        found.append([_ross(space, classes[test], k) for space in (*spaces, leading)])
    return _joined(found)


def _some(u: Tensor) -> Tensor:
    order = torch.randperm(len(u), generator=torch.Generator().manual_seed(3))
    return u if len(u) <= _MOST else u[order[:_MOST]]


def _halves(n: int) -> list[tuple[Tensor, Tensor]]:
    fold = torch.randperm(n, generator=torch.Generator().manual_seed(2)) % 2 == 0
    return [(fold, ~fold), (~fold, fold)]


def _both(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]] | None:
    blocks = [_features(block, len(x) // 2 // _EXAMPLES_A_FEATURE) for block in (x, y)]
    few = len(x) < _FEWEST or min(features.shape[1] for features, _ in blocks) < _MOST_PAIRS
    return None if few else blocks


def _joined(halves: list[list[Tensor]]) -> Projected:
    terms = [torch.cat(parts) for parts in zip(*halves, strict=True)]
    spread = [_DEPENDENCE * float(each.std()) / math.sqrt(len(each)) for each in terms]
    return Projected(torch.stack([each.mean() for each in terms]), torch.tensor(spread, dtype=torch.float64))


def _scores(values: Tensor) -> Tensor:
    return normal_scores(uniform_scores(values))


def _ross(a: Tensor, classes: Tensor, k: int) -> Tensor:
    return of_labels(a.contiguous(), classes, k, "euclidean").pointwise


def _ksg(a: Tensor, b: Tensor, k: int) -> Tensor:
    return of_vectors("ksg1", a.contiguous(), b.contiguous(), k, "euclidean", "block").pointwise


def _features(u: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """(n, f) features of unit variance, f <= `most`, none where not even two waves fit; and (f, d) whose they are."""
    d = u.shape[1]
    z, own = normal_scores(u), torch.eye(d, dtype=torch.float64)
    products = d * (d - 1) // 2 if d <= _MOST_MULTIPLIED else 0
    if d + products > most // 2:
        products = 0
    waves = min(_MOST_WAVES, (most - products) // d - 1)
    if waves < 2:
        return u[:, :0], own[:0]
    parts = [z, *(math.sqrt(2) * torch.cos(math.pi * m * u) for m in range(1, waves + 1))]
    owners = [own] * (1 + waves)
    if products:
        i, j = torch.triu_indices(d, d, 1)
        parts.append(z[:, i] * z[:, j])
        owners.append(own[i] + own[j])
    found = torch.cat(parts, 1)
    found = found - found.mean(0)
    return found / found.std(0).clamp_min(1e-12), torch.cat(owners)


def _leading(shared: Tensor, owners: Tensor) -> Tensor:
    """The columns whose features share most with the other block, by the squared correlations of the features."""
    return (owners.T @ shared).topk(min(_LEADING, owners.shape[1])).indices


def _canonical(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the features in each pair of functions: canonical correlations with a ridge."""
    n = len(x)
    roots = []
    for block in (x, y):
        covariance = block.T @ block / n
        covariance.diagonal().add_(_RIDGE)
        roots.append(torch.linalg.cholesky(covariance))
    white = torch.linalg.solve_triangular(roots[0], x.T @ y / n, upper=False)
    white = torch.linalg.solve_triangular(roots[1], white.T, upper=False).T
    left, _, right = torch.linalg.svd(white, full_matrices=False)
    a = torch.linalg.solve_triangular(roots[0].T, left[:, :_MOST_PAIRS], upper=True)
    return a, torch.linalg.solve_triangular(roots[1].T, right[:_MOST_PAIRS].T, upper=True)
