"""Dependence that is finer than n examples show: the value is a floor and says so, never a narrow wrong interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infopace import Estimate, mutual_information
from infopace.estimators._dependence._copula import fit_gaussian
from infopace.estimators._dependence._scores import rank_bias, uniform_scores

from .samples import normal


def strong(n: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    generator = np.random.default_rng([n, seed])
    x = generator.normal(size=n)
    truth = 0.5 * math.log1p(1 / noise**2) if noise else math.inf
    return x, x + noise * generator.normal(size=n), truth


def kinds(found: Estimate) -> list[str]:
    return [caution.kind for caution in found.warnings]


@pytest.mark.parametrize("estimator", ["auto", "ksg1"])
@pytest.mark.parametrize("noise", [0.1, 1e-2, 1e-3, 1e-4, 1e-6, 0.0])
@pytest.mark.parametrize("n", [30, 100, 300])
def test_the_interval_covers_or_a_caution_says_that_there_is_none(
    n: int, noise: float, estimator: str
) -> None:
    for seed in range(2):
        x, y, truth = strong(n, noise, seed)
        found = mutual_information(x, y, estimator=estimator)
        low, high = found.interval
        if math.isnan(low):
            assert "few-examples" in kinds(found)
        else:
            assert low <= truth <= high
        if noise < 1e-2:
            assert "beyond-reach" in kinds(found)
            # Never more than what neighbours can show: psi(n) - psi(k).
            assert found.nats < math.log(n) - 0.9


@pytest.mark.parametrize("estimator", ["auto", "ksg1", "ksg2", "gao"])
@pytest.mark.parametrize("width", [1, 5])
def test_information_of_a_vector_about_itself_has_no_upper_limit(width: int, estimator: str) -> None:
    x = normal(100, width)
    found = mutual_information(x, x, estimator=estimator)
    low, high = found.interval
    assert 3 < low <= found.nats < high == math.inf
    assert found.bias == -math.inf
    caution = found.warnings[-1]
    assert caution.kind == "beyond-reach"
    assert str(caution).startswith(f"at least {found.nats:.3g} nats: ")
    # Without an error bar there is no interval, and the caution stays.
    bare = mutual_information(x, x, estimator=estimator, std_error=False)
    assert set(kinds(bare)) == {"beyond-reach"}
    assert all(map(math.isnan, bare.interval))


def test_a_relation_of_any_shape_and_in_any_basis() -> None:
    x = normal(300, 1, 1)
    turn = np.linalg.qr(normal(5, 5, 2))[0]
    wide = normal(300, 5, 3)
    for a, b in (
        (x, x**2),
        (x, np.exp(x)),
        (wide, wide @ turn),
        (wide, np.c_[wide[:, 0], normal(300, 2, 4)]),
    ):
        found = mutual_information(a, b)
        assert found.interval[1] == math.inf
        assert kinds(found) == ["beyond-reach"]


@pytest.mark.slow
def test_information_that_the_ranks_show_is_left_as_it_is() -> None:
    """No alarm for independent, moderate, wide or many-valued samples."""
    x, wide, other = normal(300, 1, 1), normal(300, 5, 2), normal(300, 5, 3)
    for a, b in (
        (x, normal(300, 1, 4)),
        (wide, other),
        (x, 0.8 * x + 0.6 * normal(300, 1, 4)),
        (wide, wide + other),
    ):
        found = mutual_information(a, b)
        assert "beyond-reach" not in kinds(found)
        assert math.isfinite(found.interval[1])
    x, y, truth = strong(1000, 0.1, 0)
    found = mutual_information(x, y)
    assert kinds(found) == []
    assert found.interval[1] - found.interval[0] < 0.4
    assert found.interval[0] < truth < found.interval[1]


def test_atoms_are_resolved() -> None:
    x = np.round(normal(400, 1, 5))
    found = mutual_information(x, x)
    assert math.isfinite(found.interval[1])
    assert "beyond-reach" not in kinds(found)


@pytest.mark.parametrize("below", [1.5, 2.5, 4.0])
def test_the_bias_of_ranks_is_the_measured_one(below: float) -> None:
    """y = x + s e with an information of ln n minus `below`; 40 draws of 300 examples."""
    n, generator = 300, torch.Generator().manual_seed(0)
    truth = math.log(n) - below
    noise = 1 / math.sqrt(math.expm1(2 * truth))
    found = []
    for _ in range(40):
        x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
        y = x + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)
        model = fit_gaussian(torch.cat([uniform_scores(x), uniform_scores(y)], 1), 1)
        found.append(model.information())
    mean = torch.tensor(found, dtype=torch.float64).mean()
    assert rank_bias(mean[None], n, 2) == pytest.approx(float(mean) - truth, abs=0.1)


@pytest.mark.parametrize("estimator", ["auto", "ksg1", "ksg2", "gao"])
def test_few_examples_get_a_caution(estimator: str) -> None:
    """Ten: a perfect relation and none at all."""
    x = np.arange(10.0)
    for y in (2 * x, np.random.default_rng(0).uniform(size=10)):
        found = mutual_information(x, y, estimator=estimator)
        assert "few-examples" in kinds(found)
        sentence = next(str(c) for c in found.warnings if c.kind == "few-examples")
        assert sentence == (
            "10 examples are too few for an error bar, which takes 32 with k = 3: the value may be far off either way; "
            "take more examples"
        )
    assert "few-examples" in kinds(mutual_information(normal(31, 1), normal(31, 1, 1), estimator=estimator))
    assert "few-examples" not in kinds(
        mutual_information(normal(32, 1), normal(32, 1, 1), estimator=estimator)
    )
