"""Elliptical copula: Gaussian dependence, or Student's with its joint tails, with any marginals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infopace.estimators._dependence._scores import rank_bias, ranks_resolve, uniform_scores
from infopace.estimators._student import student_quantile

# Values of 1 / nu that are tried first. The best is then refined. 0 would be the Gaussian copula.
_INVERSE_NU = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.6)


@dataclass(frozen=True)
class EllipticalCopula:
    """A copula fitted to n examples.

    Attributes:
        scatter: (p + q, p + q).
        nu: Degrees of freedom; inf is the Gaussian copula.
        p: Width of x.
        n: Examples.
    """

    scatter: Tensor
    nu: float
    p: int
    n: int

    @property
    def name(self) -> str:
        return "gaussian copula" if math.isinf(self.nu) else f"student copula, nu {self.nu:.3g}"

    def log_ratio(self, u_x: Tensor, u_y: Tensor) -> Tensor:
        """log p(x, y) / p(x) p(y) of each example, nats."""
        z = student_quantile(torch.cat([u_x, u_y], 1), self.nu)
        p, s = self.p, self.scatter
        return (
            log_density(z, s, self.nu)
            - log_density(z[:, :p], s[:p, :p], self.nu)
            - log_density(z[:, p:], s[p:, p:], self.nu)
        )

    def log_likelihood(self, u: Tensor) -> Tensor:
        """(n,) log density of the copula at each of the scores u (n, p + q), nats."""
        z = student_quantile(u, self.nu)
        one = torch.ones(1, 1, dtype=torch.float64)
        return log_density(z, self.scatter, self.nu) - log_density(z.reshape(-1, 1), one, self.nu).reshape(
            z.shape
        ).sum(1)

    def information(self) -> float:
        """I(X;Y) = (log det S_x + log det S_y - log det S) / 2 - bias + h_p + h_q - h_{p+q}, nats.

        The bias is that of a Wishart matrix, exact for the Gaussian copula with known marginals. h_d is the entropy of
        the d-dimensional t with unit scatter. Source: Arellano-Valle, Contreras-Reyes, Genton 2013.
        """
        p, s = self.p, self.scatter
        plug_in = 0.5 * float(s[:p, :p].logdet() + s[p:, p:].logdet() - s.logdet())
        return plug_in - wishart_bias(self.n, p, len(s) - p) + self._tail_information()

    def shrunk(self) -> EllipticalCopula:
        """The copula that has the information of `information()`, and so does best on other examples."""
        return replace(self, scatter=self._shrunk())

    def chance(self) -> float:
        """Standard error that the estimated scatter adds to the information, nats."""
        return wishart_spread(self.n, self.p, len(self.scatter) - self.p)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform scores of n draws from the copula with the information of `information()`."""
        root = torch.linalg.cholesky(self._shrunk())
        z = torch.randn(n, len(root), dtype=torch.float64, generator=generator) @ root.T
        if math.isfinite(self.nu):
            shape = torch.full((n, 1), self.nu / 2, dtype=torch.float64)
            gamma = torch._standard_gamma(shape, generator=generator)
            z = z / (gamma * 2 / self.nu).sqrt()
        return uniform_scores(z)

    def resolved(self) -> bool:
        """Whether ranks can show this dependence; see `_scores.ranks_resolve`."""
        return ranks_resolve(canonical_information(self.scatter, self.p), self.n)

    def rank_bias(self) -> float:
        """Bias of the information that ranks cause, nats; see `_scores.rank_bias`."""
        return rank_bias(canonical_information(self.scatter, self.p), self.n, len(self.scatter))

    def _shrunk(self) -> Tensor:
        """The scatter with less dependence, so that it has the unbiased information.

        The information is the sum of -log(1 - r_i^2) / 2 over the canonical correlations r_i. Each term loses the same
        amount, or all it has. Scaling all r_i instead would take the bias of many weak pairs from the strong ones.
        """
        p, s = self.p, self.scatter
        white, root_x, root_y = whitened(s, p)
        left, r, right = torch.linalg.svd(white, full_matrices=False)
        terms = -0.5 * torch.log1p(-r.clamp(max=1 - 1e-12).square())
        spare = float(terms.sum()) - max(0.0, self.information() - self._tail_information())
        low, high = 0.0, float(terms.max())
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if float(terms.clamp(max=middle).sum()) < spare else (low, middle)
        r = (-torch.expm1(-2 * (terms - high).clamp(min=0))).sqrt()
        result = s.clone()
        result[:p, p:] = root_x @ (left * r) @ right @ root_y.T
        result[p:, :p] = result[:p, p:].T
        return result

    def _tail_information(self) -> float:
        if math.isinf(self.nu):
            return 0.0
        p, q = self.p, len(self.scatter) - self.p
        return _entropy(self.nu, p) + _entropy(self.nu, q) - _entropy(self.nu, p + q)


def fit_gaussian(u: Tensor, p: int) -> EllipticalCopula:
    """The Gaussian copula of scores u (n, p + q)."""
    return fit_at(u, p, math.inf)[0]


def fit_student(u: Tensor, p: int) -> EllipticalCopula:
    """Student's copula of scores u (n, p + q), by maximum likelihood over scatter and nu."""
    tried = {inverse: fit_at(u, p, 1 / inverse) for inverse in _INVERSE_NU}
    for _ in range(3):
        grid = sorted(tried)
        at = min(max(grid.index(max(tried, key=lambda inverse: tried[inverse][1])), 1), len(grid) - 2)
        around = grid[at - 1 : at + 2]
        new = math.exp(_parabola_top([math.log(i) for i in around], [tried[i][1] for i in around]))
        if any(abs(new / old - 1) < 0.003 for old in grid):
            break
        tried[new] = fit_at(u, p, 1 / new)
    return max(tried.values(), key=lambda pair: pair[1])[0]


def _parabola_top(x: list[float], f: list[float]) -> float:
    """Where the parabola through three points is highest, clipped to their range."""
    left, right = (x[1] - x[0]) * (f[1] - f[2]), (x[1] - x[2]) * (f[1] - f[0])
    if left == right:
        return x[1]
    top = x[1] - 0.5 * ((x[1] - x[0]) * left - (x[1] - x[2]) * right) / (left - right)
    return min(max(top, x[0]), x[2])


def fit_at(u: Tensor, p: int, nu: float) -> tuple[EllipticalCopula, float]:
    """The copula at a given nu, and its mean log-likelihood."""
    z = student_quantile(u, nu)
    scatter = _scatter(z, nu)
    one = torch.ones(1, 1, dtype=torch.float64)
    marginal = log_density(z.reshape(-1, 1), one, nu).mean() * z.shape[1]
    model = EllipticalCopula(scatter, nu, p, len(u))
    return model, float(log_density(z, scatter, nu).mean() - marginal)


def _scatter(z: Tensor, nu: float, steps: int = 40) -> Tensor:
    """Scatter of a centred t by PX-EM (Kent, Tyler, Vardi 1994); for the Gaussian, second moments."""
    n, d = z.shape
    ridge = 1e-9 * torch.eye(d, dtype=torch.float64)
    scatter = z.T @ z / n
    if math.isinf(nu):
        return scatter + ridge * scatter.diagonal().mean()
    scale = z.abs().median(0).values.clamp_min(1e-12)
    correlation = torch.corrcoef(torch.atan(z / scale).T).reshape(d, d).nan_to_num(0.0)
    scatter = 0.9 * correlation * scale[:, None] * scale
    scatter.diagonal().copy_(scale**2)
    for _ in range(steps):
        weight = (nu + d) / (nu + _mahalanobis(z, scatter)[0])
        new = (z * weight[:, None]).T @ z / weight.sum()
        new = new + ridge * new.diagonal().mean()
        change = float((new - scatter).abs().max() / new.abs().max())
        scatter = new
        if change < 1e-5:
            break
    return scatter


def log_density(z: Tensor, scatter: Tensor, nu: float) -> Tensor:
    """Log density of the centred d-dimensional t (nu = inf: normal) at each of the points z."""
    d = z.shape[1]
    square, half_logdet = _mahalanobis(z, scatter)
    if math.isinf(nu):
        return -0.5 * square - half_logdet - 0.5 * d * math.log(2 * math.pi)
    norm = math.lgamma((nu + d) / 2) - math.lgamma(nu / 2) - 0.5 * d * math.log(nu * math.pi)
    return norm - half_logdet - (nu + d) / 2 * torch.log1p(square / nu)


def whitened(scatter: Tensor, p: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-correlation of both blocks after whitening, and the Cholesky roots of the blocks."""
    root_x, root_y = torch.linalg.cholesky(scatter[:p, :p]), torch.linalg.cholesky(scatter[p:, p:])
    white = torch.linalg.solve_triangular(root_x, scatter[:p, p:], upper=False)
    return torch.linalg.solve_triangular(root_y, white.T, upper=False).T, root_x, root_y


def canonical_information(scatter: Tensor, p: int) -> Tensor:
    """(min(p, q),) nats -ln(1 - r^2) / 2 of each canonical correlation r."""
    r = torch.linalg.svdvals(whitened(scatter, p)[0])
    return -0.5 * torch.log1p(-r.clamp(max=1 - 1e-12).square())


def wishart_bias(n: int, p: int, q: int) -> float:
    """Bias of the plug-in Gaussian information of two blocks from n examples, nats."""
    psi = torch.digamma((n - torch.arange(1, p + q + 1, dtype=torch.float64)) / 2)
    return 0.5 * float(psi[:p].sum() + psi[:q].sum() - psi.sum())


def wishart_spread(n: int, p: int, q: int) -> float:
    """Standard error of the plug-in Gaussian information of two independent blocks, nats; see `gaussian_std_error`."""

    def psi(first: int) -> float:
        steps = torch.arange(q, dtype=torch.float64)
        return float(torch.polygamma(1, (first - steps) / 2).sum())

    return math.sqrt((psi(n - p) - psi(n)) / 4)


def _entropy(nu: float, d: int) -> float:
    psi = torch.digamma(torch.tensor([(nu + d) / 2, nu / 2], dtype=torch.float64))
    norm = math.lgamma(nu / 2) - math.lgamma((nu + d) / 2) + d / 2 * math.log(nu * math.pi)
    return norm + (nu + d) / 2 * float(psi[0] - psi[1])


def _mahalanobis(z: Tensor, scatter: Tensor) -> tuple[Tensor, Tensor]:
    root = torch.linalg.cholesky(scatter)
    square = torch.linalg.solve_triangular(root, z.T, upper=False).square().sum(0)
    return square, root.diagonal().log().sum()
