"""Gaussian mixture of the normal scores of both blocks: a smooth model of any low-dimensional dependence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace.estimators._dependence._copula import canonical_information
from infopace.estimators._dependence._scores import normal_scores, ranks_resolve, uniform_scores

_DRAWS = 20_000
_UNRESOLVED_SHARE = 0.25


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of K components fitted to n examples; x is the first p of the d columns.

    Attributes:
        log_weights: (K,).
        means: (K, d).
        covariances: (K, d, d).
        p: Width of x.
        n: Examples.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    p: int
    n: int

    @property
    def name(self) -> str:
        return f"gaussian mixture, {len(self.means)} components"

    def log_ratio(self, u_x: Tensor, u_y: Tensor) -> Tensor:
        """log p(x, y) / p(x) p(y) of each example, nats."""
        x, y = normal_scores(u_x), normal_scores(u_y)
        first, last = slice(None, self.p), slice(self.p, None)
        joint = self._log_density(torch.cat([x, y], 1), slice(None))
        return joint - self._log_density(x, first) - self._log_density(y, last)

    def information(self) -> float:
        """I(X;Y) of the mixture itself, by Monte Carlo, nats. The mixture overfits, so this is too high."""
        u = self.sample(_DRAWS, torch.Generator().manual_seed(0))
        return float(self.log_ratio(u[:, : self.p], u[:, self.p :]).mean())

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform scores of n draws."""
        component = torch.multinomial(self.log_weights.exp(), n, True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], 1, dtype=torch.float64, generator=generator)
        root = torch.linalg.cholesky(self.covariances)
        return uniform_scores(self.means[component] + (root[component] @ noise)[:, :, 0])

    def resolved(self) -> bool:
        """Whether ranks can show the dependence inside components of at least three quarters of the weight.

        Components can cut a straight line into pieces. Each piece has less information, and fewer examples to show it.
        """
        shares = self.log_weights.exp()
        unresolved = [
            not ranks_resolve(canonical_information(covariance, self.p), max(1, int(share * self.n)))
            for share, covariance in zip(shares.tolist(), self.covariances, strict=True)
        ]
        return float(shares[torch.tensor(unresolved)].sum()) <= _UNRESOLVED_SHARE

    def rank_bias(self) -> float:
        """0, because neighbours correct every mixture, and with it the bias of ranks."""
        return 0.0

    def chance(self) -> float:
        """0: the held-out log ratios of a mixture already scatter with its fit."""
        return 0.0

    def _log_density(self, z: Tensor, columns: slice) -> Tensor:
        covariances = self.covariances[:, columns][:, :, columns]
        terms = _component_log_density(z, self.means[:, columns], covariances)
        return (terms + self.log_weights[:, None]).logsumexp(0)


def parameters(components: int, width: int, shared: bool = False) -> int:
    """How many numbers a mixture fits; with a shared shape one covariance."""
    shapes = 1 if shared else components
    return components * (1 + width) + shapes * width * (width + 1) // 2


def fit_mixture(
    u: Tensor, p: int, components: int, shared: bool = False, steps: int = 100
) -> GaussianMixture:
    """EM from k-means++ with a fixed seed. A shared prior counts as d + 2 examples of each covariance.

    With `shared` all components have one covariance.
    """
    z = normal_scores(u)
    n, d = z.shape
    share = _k_means(z, components, torch.Generator().manual_seed(0)).T
    strength = d + 2
    prior = torch.cov(z.T).reshape(d, d) * 0.3 * components ** (-2 / d)
    prior = prior + 1e-6 * torch.eye(d, dtype=torch.float64)
    last, step = -math.inf, 0
    while True:
        weight = share.sum(1) + 1e-9
        means = share @ z / weight[:, None]
        products = weight[:, None, None] * means[:, :, None] * means[:, None]
        scatter = torch.matmul(z.T * share[:, None], z) - products
        if shared:
            covariances = ((scatter.sum(0) + strength * prior) / (n + strength)).expand(components, d, d)
        else:
            covariances = (scatter + strength * prior) / (weight + strength)[:, None, None]
        log_weights = ((weight + 1) / (n + components)).log()
        joint = _component_log_density(z, means, covariances) + log_weights[:, None]
        total = joint.logsumexp(0)
        share = (joint - total).exp()
        mean = float(total.mean())
        if step == steps - 1 or (step > 5 and mean - last < 1e-5):
            break
        last, step = mean, step + 1
    return GaussianMixture(log_weights - log_weights.logsumexp(0), means, covariances, p, n)


def _k_means(z: Tensor, k: int, generator: torch.Generator, steps: int = 15) -> Tensor:
    n = len(z)
    centres = z[torch.randint(n, (1,), generator=generator)]
    nearest = (z - centres).square().sum(1)
    for _ in range(k - 1):
        new = z[torch.multinomial(nearest.clamp_min(1e-12), 1, generator=generator)]
        centres = torch.cat([centres, new])
        nearest = torch.minimum(nearest, (z - new).square().sum(1))
    belongs = _belonging(z, centres)
    for _ in range(steps - 1):
        size = belongs.sum(0)[:, None]
        centres = torch.where(size > 0, belongs.T @ z / size.clamp_min(1), centres)
        belongs = _belonging(z, centres)
    return belongs


def _belonging(z: Tensor, centres: Tensor) -> Tensor:
    """(n, K) one-hot: the nearest centre of each example."""
    return torch.nn.functional.one_hot(torch.cdist(z, centres).argmin(1), len(centres)).double()


def _component_log_density(z: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """(K, n) log densities of each component at each example."""
    d = z.shape[1]
    root = torch.linalg.cholesky(covariances)
    one = torch.eye(d, dtype=torch.float64).expand_as(root)
    inverse = torch.linalg.solve_triangular(root, one, upper=False)
    white = torch.matmul(z, inverse.mT) - torch.matmul(means[:, None], inverse.mT)
    logdet = root.diagonal(dim1=1, dim2=2).log().sum(1)
    return -0.5 * white.square().sum(2) - logdet[:, None] - 0.5 * d * math.log(2 * math.pi)
