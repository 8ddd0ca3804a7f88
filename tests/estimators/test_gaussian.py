"""Canonical correlations: unbiased on normal examples, and the same under any change of coordinates."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from infopace.estimators._gaussian import gaussian, gaussian_std_error


def normal(n: int, p: int, q: int, rho: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first columns of x and y are correlated pairwise."""
    x = torch.randn(n, p, generator=generator, dtype=torch.float64)
    y = torch.randn(n, q, generator=generator, dtype=torch.float64)
    m = min(p, q)
    y[:, :m] = rho * x[:, :m] + math.sqrt(1 - rho**2) * y[:, :m]
    return x, y


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow(x: Tensor, y: Tensor) -> float:
    """Log-determinants of the scatter matrices, each without its bias under the Wishart distribution."""

    def log_determinant(z: Tensor) -> float:
        centred = z - z.mean(0)
        freedom, width = len(z) - 1, z.shape[1]
        expected = sum(
            float(torch.digamma(torch.tensor((freedom - j) / 2, dtype=torch.float64))) for j in range(width)
        )
        return float(torch.logdet(centred.T @ centred)) - width * math.log(2) - expected

    return (log_determinant(x) + log_determinant(y) - log_determinant(torch.cat([x, y], 1))) / 2


@pytest.mark.parametrize(("n", "p", "q"), [(30, 1, 1), (40, 3, 2), (40, 2, 6), (100, 30, 40)])
def test_equals_the_log_determinants(n: int, p: int, q: int) -> None:
    x, y = normal(n, p, q, 0.6, seeded(n))
    assert gaussian(x, y) == pytest.approx(slow(x, y), abs=1e-9)
    assert gaussian(x, y) == pytest.approx(gaussian(y, x), abs=1e-9)
    assert gaussian_std_error(x, y) == pytest.approx(gaussian_std_error(y, x), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "p", "q", "rho"), [(20, 3, 2, 0.0), (20, 3, 2, 0.9), (30, 12, 12, 0.7), (9, 4, 4, 0.5)]
)
def test_unbiased_on_normal_examples_however_few_and_the_error_bar_is_the_spread(
    n: int, p: int, q: int, rho: float
) -> None:
    generator = seeded(3)
    draws = [normal(n, p, q, rho, generator) for _ in range(400)]
    values = torch.tensor([gaussian(x, y) for x, y in draws])
    errors = torch.tensor([gaussian_std_error(x, y) for x, y in draws])
    true = -min(p, q) / 2 * math.log(1 - rho**2)
    assert abs(float(values.mean()) - true) < 4 * float(values.std()) / math.sqrt(400)
    assert 0.8 < float(errors.square().mean().sqrt() / values.std()) < 1.3


def test_invertible_maps_leave_it_as_it_is() -> None:
    x, y = normal(100, 4, 3, 0.7, seeded(5))
    value = gaussian(x, y)
    mixing = torch.randn(4, 4, generator=seeded(6), dtype=torch.float64)
    assert gaussian(x @ mixing + 1e3, y) == pytest.approx(value, abs=1e-9)
    assert gaussian(x * torch.tensor([1e-9, 1.0, 1e9, 7.0]), -3 * y) == pytest.approx(value, abs=1e-9)
    order = torch.randperm(100, generator=seeded(7))
    assert gaussian(x[order], y[order]) == pytest.approx(value, abs=1e-9)


def test_columns_that_add_no_rank_change_nothing() -> None:
    x, y = normal(100, 3, 2, 0.7, seeded(8))
    value = gaussian(x, y)
    idle = torch.full((100, 1), 0.1, dtype=torch.float64)
    assert gaussian(torch.cat([x, idle], 1), y) == pytest.approx(value, abs=1e-9)
    assert gaussian(torch.cat([x, x[:, :1] - 2 * x[:, 1:2], x], 1), y) == pytest.approx(value, abs=1e-9)
    assert gaussian(idle, y) == 0.0
    # A rank below the number of examples is enough, whatever the width.
    assert gaussian(x.repeat(1, 50), y) == pytest.approx(value, abs=1e-9)


def test_strong_and_perfect_dependence() -> None:
    x, noise = normal(2000, 1, 1, 0.0, seeded(9))
    small = 1e-9
    assert gaussian(x, x + small * noise) == pytest.approx(-math.log(small), abs=0.1)
    assert gaussian(x, -2 * x + 5) == math.inf
    assert gaussian(torch.cat([x, noise], 1), x + noise) == math.inf


def test_float32_examples_are_read_as_their_exact_values() -> None:
    x, y = (block.float() for block in normal(200, 3, 3, 0.5, seeded(10)))
    assert gaussian(x, y) == gaussian(x.double(), y.double())


@pytest.mark.parametrize("n", [2, 7])
def test_too_few_examples_are_refused(n: int) -> None:
    x, y = normal(n, 4, 3, 0.0, seeded(11))
    with pytest.raises(ValueError, match=f"got n = {n} with ranks"):
        gaussian(x, y)
