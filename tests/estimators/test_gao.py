"""Mixtures of points and densities, and values on a grid."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from infopace.estimators._gao import gao
from infopace.estimators._ksg import ksg1
from infopace.estimators._neighbour_search._distances import pairwise_distances


def measure(x: Tensor, y: Tensor, k: int = 3, norm: str = "euclidean") -> float:
    return gao(pairwise_distances(x, norm), pairwise_distances(y, norm), k)


def psi(value: float) -> float:
    return float(torch.digamma(torch.tensor(value, dtype=torch.float64)))


def slow(x: Tensor, y: Tensor, k: int, norm: str) -> float:
    """Example by example, pair by pair, on integers, whose distances are exact."""

    def distance(a: Tensor, b: Tensor) -> float:
        gaps = (a - b).abs()
        return float(gaps.max() if norm == "chebyshev" else gaps.square().sum())

    total, n = 0.0, len(x)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        dx, dy = [distance(x[i], x[j]) for j in others], [distance(y[i], y[j]) for j in others]
        joint = [max(a, b) for a, b in zip(dx, dy, strict=True)]
        radius = sorted(joint)[k - 1]
        own = radius == 0
        total += psi(sum(d <= radius for d in joint) + own)
        for block in (dx, dy):
            within, nearer = sum(d <= radius for d in block), sum(d < radius for d in block)
            total -= psi(within + 1 if own else max(within, nearer + 1))
    return psi(n) + total / n


@pytest.mark.parametrize("norm", ["euclidean", "chebyshev"])
@pytest.mark.parametrize(("p", "q", "levels", "k"), [(1, 1, 3, 1), (1, 2, 6, 3), (2, 6, 4, 3), (6, 1, 40, 5)])
def test_equals_the_count_pair_by_pair(norm: str, p: int, q: int, levels: int, k: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    x = torch.randint(levels, (40, p), generator=generator).double()
    y = torch.randint(levels, (40, q), generator=generator).double()
    y[:, :1] += x[:, :1]
    assert measure(x, y, k, norm) == pytest.approx(slow(x, y, k, norm), abs=1e-12)


@pytest.mark.parametrize("width", [1, 3, 20])
def test_without_ties_it_is_ksg1_to_the_bit(width: int) -> None:
    generator = torch.Generator().manual_seed(width)
    x = torch.randn(300, width, generator=generator, dtype=torch.float64)
    y = x[:, :1] + torch.randn(300, 1, generator=generator, dtype=torch.float64)
    dx, dy = pairwise_distances(x, "euclidean"), pairwise_distances(y, "euclidean")
    assert gao(dx, dy, 3) == ksg1(dx, dy, 3)
    assert gao(dx, dy, 3) == gao(dy, dx, 3)


def zero_inflated(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x exponential, y Poisson of mean x, but 0 with probability 0.15 (Gao et al. 2017, section 5)."""
    x = torch.empty(n, 1, dtype=torch.float64).exponential_(generator=generator)
    kept = torch.rand(n, 1, generator=generator) > 0.15
    return x, torch.poisson(x, generator=generator) * kept


def uniform_mixture(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x one of five whole numbers, y uniform on [x, x + 2] (the same)."""
    x = torch.randint(5, (n, 1), generator=generator).double()
    return x, x + 2 * torch.rand(n, 1, generator=generator, dtype=torch.float64)


def points_and_normal(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the examples correlated normal, half on four points (+-6, +-6), equal signs in 9 of 10."""
    x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    y = 0.9 * x + math.sqrt(1 - 0.81) * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    sign = 12.0 * torch.randint(2, (n, 1), generator=generator).double() - 6
    other = torch.where(torch.rand(n, 1, generator=generator) < 0.9, sign, -sign)
    point = torch.rand(n, 1, generator=generator) < 0.5
    return torch.where(point, sign, x), torch.where(point, other, y)


_POISSON = 0.85 * (2 * math.log(2) - 0.5772156649 - sum(math.log(j) * 2.0**-j for j in range(1, 60)))
_UNIFORM = math.log(5) - 4 * math.log(2) / 5
# Which half an example is from follows from x and from y alike: ln 2 more than the mean of the halves.
_POINTS = (
    math.log(2) + (-math.log(1 - 0.81) / 2 + math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / 2
)


@pytest.mark.parametrize(
    ("draw", "true"),
    [(zero_inflated, _POISSON), (uniform_mixture, _UNIFORM), (points_and_normal, _POINTS)],
)
def test_known_mixtures(draw, true: float) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.tensor([measure(*draw(800, generator)) for _ in range(4)])
    assert abs(float(values.mean()) - true) < 0.06


@pytest.mark.parametrize("step", [0.02, 0.1, 0.5])
def test_rounding_is_no_information(step: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(1000, 1, generator=generator, dtype=torch.float64) / step).round()
    y = (torch.randn(1000, 1, generator=generator, dtype=torch.float64) / step).round()
    assert abs(measure(x, y)) < 0.06


def test_a_constant_block_carries_nothing() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert measure(x, torch.zeros(100, 1)) == pytest.approx(0.0, abs=0.05)
    assert measure(torch.zeros(100, 1), torch.zeros(100, 1)) == pytest.approx(0.0, abs=1e-12)


def test_labels_as_numbers_give_their_entropy() -> None:
    x = torch.arange(4.0).repeat(50)[:, None]
    assert measure(x, x) == pytest.approx(psi(200) - psi(50))
