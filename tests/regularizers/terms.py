"""The terms of the tests, each with its slow reference, what leaves it unchanged, and what it is to lower."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from infopace.estimators import gaussian
from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    InfoNCE,
    MatrixRenyi,
    NormalizedHSIC,
    VariationalBottleneck,
)
from infopace.regularizers._fitted import FittedTerm
from infopace.regularizers._kernels import KernelTerm

Term = nn.Module


def value(term: Term, x: Tensor, y: Tensor) -> Tensor:
    """The value with its sign, and nothing fitted."""
    if isinstance(term, FittedTerm):
        return term.bound(x, y)
    return term(x, y) if isinstance(term, KernelTerm) else term(x)


def awake(term: Term) -> Term:
    """The term with a critic that is not blind."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in term.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return term


def kernel(term: KernelTerm, x: Tensor) -> Tensor:
    """The Gaussian kernel, pair by pair."""
    n, width = len(x), x.shape[1]
    distances = [[float((x[i] - x[j]).norm()) for j in range(n)] for i in range(n)]
    apart = sorted(distances[i][j] for i in range(n) for j in range(i) if distances[i][j] > 0)
    scale = apart[(len(apart) - 1) // 2] if term.per == "median" else math.sqrt(width)
    entries = [[math.exp(-((d / (scale * term.width)) ** 2) / 2) for d in row] for row in distances]
    return torch.tensor(entries, dtype=torch.float64)


def unbiased_hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """Song et al. 2012, eq. 5."""
    n, one = len(k), torch.ones(len(k), dtype=k.dtype)
    k, l = k - torch.diag(k.diag()), l - torch.diag(l.diag())  # noqa: E741
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((torch.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3)))


def of_hsic(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, NormalizedHSIC)
    k, l = kernel(term, x), kernel(term, y)  # noqa: E741
    if term.ridge is None:
        return unbiased_hsic(k, l) / math.sqrt(unbiased_hsic(k, k) * unbiased_hsic(l, l))
    n = len(k)
    eye = torch.eye(n, dtype=k.dtype)
    h = eye - 1 / n
    one, two = (h @ m @ h @ torch.linalg.inv(h @ m @ h + term.ridge * n * eye) for m in (k, l))
    return float(torch.trace(one @ two))


def of_renyi(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, MatrixRenyi)

    def entropy(a: Tensor) -> float:
        eigenvalues = torch.linalg.eigvals(a / a.trace()).real
        return math.log(sum(max(float(e), 0.0) ** term.alpha for e in eigenvalues)) / (1 - term.alpha)

    k, l = kernel(term, x), kernel(term, y)  # noqa: E741
    return entropy(k) + entropy(l) - entropy(k * l)


def of_cauchy_schwarz(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, CauchySchwarz)
    k, l, n = kernel(term, x), kernel(term, y), range(len(x))  # noqa: E741
    joint = sum(float(k[i, j] * l[i, j]) for i in n for j in n) / len(n) ** 2
    product = sum(float(k[i, j] * l[q, r]) for i in n for j in n for q in n for r in n) / len(n) ** 4
    cross = sum(float(k[i, j] * l[i, q]) for i in n for j in n for q in n) / len(n) ** 3
    return math.log(joint) + math.log(product) - 2 * math.log(cross)


def of_club(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, CLUB)
    mean, raw = term.critic(x).chunk(2, dim=1)
    q = [Normal(m, s) for m, s in zip(mean, (2.5 * (raw / 5).tanh()).exp(), strict=True)]
    n = range(len(x))
    true = sum(float(q[i].log_prob(y[i]).sum()) for i in n) / len(n)
    return true - sum(float(q[i].log_prob(y[j]).sum()) for i in n for j in n) / len(n) ** 2


def of_infonce(term: Term, x: Tensor, y: Tensor) -> float:
    f, g = term.get_submodule("critic").children()
    n = range(len(x))
    odds = [[math.exp(float(f(x[i]) @ g(y[j]))) for j in n] for i in n]
    return sum(math.log(len(n) * odds[i][i] / sum(odds[i])) for i in n) / len(n)


def of_mine(term: Term, x: Tensor, y: Tensor) -> float:
    """For five examples, whose four shifts are all of them, and next to no noise."""
    assert isinstance(term, MINE) and len(x) == 5
    t, z, n = x / x.square().mean().sqrt(), y / y.square().mean().sqrt(), range(5)
    scores = [[float(term.critic(torch.cat([t[i], z[j]]))) for j in n] for i in n]
    others = sum(math.exp(scores[i][j]) for i in n for j in n if i != j) / 20
    return sum(scores[i][i] for i in n) / 5 - math.log(others)


def of_edm(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, EnsembleDecorrelation)
    c = torch.corrcoef(x.T) if term.correlations else torch.cov(x.T, correction=0)
    chance = 1 / (len(x) - 1) if term.correlations else 0.0
    units = range(x.shape[1])
    terms = [float(c[a, b]) ** 2 - chance for a in units for b in units if term.group[a] != term.group[b]]
    return sum(terms) / len(terms)


def of_variational(term: Term, x: Tensor, y: Tensor) -> float:
    assert isinstance(term, VariationalBottleneck)
    posterior = Normal(x, nn.functional.softplus(term.spread(x)))
    return float(kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean().detach())


def about_the_target(term: Term, inputs: Tensor, layer: Tensor, target: Tensor) -> float:
    return gaussian(layer, target)


def about_the_inputs(term: Term, inputs: Tensor, layer: Tensor, target: Tensor) -> float:
    assert isinstance(term, VariationalBottleneck)
    return gaussian(inputs, term.sample(layer).detach())


def between_units(term: Term, inputs: Tensor, layer: Tensor, target: Tensor) -> float:
    return float(torch.corrcoef(layer.T)[0, 1] ** 2)


@dataclass(frozen=True)
class Row:
    """A term for x of some width and y of another."""

    build: Callable[[int, int], Term]
    reference: Callable[[Term, Tensor, Tensor], float]
    # Of "rotation" and "scale"; permutation of the examples changes none.
    unchanged: frozenset[str] = frozenset()
    measure: Callable[[Term, Tensor, Tensor, Tensor], float] = about_the_target


BOTH = frozenset({"rotation", "scale"})
SCALE = frozenset({"scale"})
ROTATION = frozenset({"rotation"})
ROWS = {
    "nhsic": Row(lambda d, e: NormalizedHSIC(), of_hsic, BOTH),
    "nhsic by sqrt(d)": Row(lambda d, e: NormalizedHSIC(0.7, "sqrt(d)"), of_hsic, ROTATION),
    "nhsic with ridge": Row(lambda d, e: NormalizedHSIC(ridge=0.1), of_hsic, BOTH),
    "renyi": Row(lambda d, e: MatrixRenyi(), of_renyi, BOTH),
    "renyi of order 2": Row(lambda d, e: MatrixRenyi(2.0, 1.0, "sqrt(d)"), of_renyi, ROTATION),
    "cauchy-schwarz": Row(lambda d, e: CauchySchwarz(), of_cauchy_schwarz, BOTH),
    "club": Row(lambda d, e: CLUB(d, e, hidden=32, lr=0.01), of_club),
    "infonce": Row(lambda d, e: InfoNCE(d, e, hidden=32, lr=0.01), of_infonce),
    "mine": Row(lambda d, e: MINE(d, e, noise=1e-9, hidden=32, lr=0.01), of_mine, SCALE),
    "edm": Row(lambda d, e: EnsembleDecorrelation(d), of_edm, SCALE, between_units),
    "edm by covariance": Row(
        lambda d, e: EnsembleDecorrelation(d, correlations=False), of_edm, measure=between_units
    ),
    "vib": Row(lambda d, e: VariationalBottleneck(d), of_variational, measure=about_the_inputs),
}
