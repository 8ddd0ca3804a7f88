"""The 95 % interval of an estimate: what it is made of, and that the truth lies in it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.integrate import trapezoid

from infopace import Estimate, mutual_information
from infopace.estimators import conditional_mutual_information
from infopace.estimators._dependence._calibrated import _left_out
from infopace.estimators._student import two_sided_quantile

from .samples import Examples, bivariate, clusters, labels, normal

PLAIN = Estimate(1.0, 0.1, "gaussian", 100, 0, "", math.inf)


def changed(**fields: float) -> tuple[float, float]:
    return dataclasses.replace(PLAIN, **fields).interval


def test_what_it_is_made_of() -> None:
    assert PLAIN.interval == pytest.approx((1 - 0.196, 1 + 0.196), abs=1e-5)
    # Seen to be too low: room above, and nothing lost below.
    assert changed(bias=-0.3) == pytest.approx((1 - 0.196, 1.3 + 0.196), abs=1e-5)
    assert changed(bias=0.3) == pytest.approx((0.7 - 0.196, 1 + 0.196), abs=1e-5)
    assert changed(freedom=10.0) == pytest.approx((1 - 0.2228, 1 + 0.2228), abs=1e-4)
    assert changed(std_error=0.0) == (1.0, 1.0)
    # Raw, like nats.
    assert changed(nats=-0.1)[0] < 0
    assert dataclasses.replace(PLAIN, ceiling=1.1).interval == PLAIN.interval


@pytest.mark.parametrize("field", ["nats", "std_error", "bias", "freedom"])
def test_nan_where_not_computed(field: str) -> None:
    assert all(map(math.isnan, changed(**{field: math.nan})))


def test_quantiles_are_those_of_scipy() -> None:
    for freedom in (1.0, 1.5, 3.0, 9.0, 22.75, 1e4, math.inf):
        wanted = scipy.stats.norm.ppf(0.975) if math.isinf(freedom) else scipy.stats.t.ppf(0.975, freedom)
        assert two_sided_quantile(freedom) == pytest.approx(wanted, rel=1e-5)


def test_without_an_error_bar_there_is_no_interval() -> None:
    x, y = normal(100, 2), normal(100, 1, 1)
    for found in (
        mutual_information(x, y, estimator="ksg1", std_error=False),
        mutual_information(x, labels(100, 2), std_error=False),
        mutual_information(x[:31], y[:31], estimator="ksg1"),
        mutual_information(x, x, estimator="gaussian"),
        conditional_mutual_information(x, y, normal(100, 1, 2), std_error=False),
        conditional_mutual_information(x, y, labels(100, 2), std_error=False),
    ):
        assert all(map(math.isnan, found.interval))
    assert math.isnan(mutual_information(x, y, estimator="ksg1", std_error=False).bias)


@pytest.mark.parametrize("given", [normal(400, 1, 5), labels(400, 2, 5)])
def test_conditional_information_has_one(given: Examples) -> None:
    x, y, _ = bivariate(400, 0.8, 6)
    found = conditional_mutual_information(x, y, given)
    low, high = found.interval
    assert low < found.nats < high
    assert found.freedom == 9
    assert found.bias


def test_the_error_bar_leaves_the_random_state_alone_and_is_the_same_again() -> None:
    x, y, _ = bivariate(300, 0.8, 10)
    before = torch.get_rng_state()
    found = [mutual_information(x, y, estimator=name) for name in ("ksg1", "calibrated")]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(11)
    assert [mutual_information(x, y, estimator=name) for name in ("ksg1", "calibrated")] == found
    torch.set_rng_state(before)


def test_what_neighbours_see_and_the_calibrated_value_leaves_out() -> None:
    """A spiral of one turn: copulas find little of it, and 300 examples are too few for a mixture to win."""
    generator = np.random.default_rng([88, 0])
    x = generator.normal(size=(300, 2))
    y = 0.8 * x[:, 0] + 0.6 * generator.normal(size=300)
    angle = 0.7 * np.square(x).sum(1)
    sine, cosine = np.sin(angle), np.cos(angle)
    wound = np.stack([cosine * x[:, 0] - sine * x[:, 1], sine * x[:, 0] + cosine * x[:, 1]], 1)
    found = mutual_information(wound, y)
    assert found.nats + 1.96 * found.std_error < -math.log(0.36) / 2
    assert found.bias < -3 * found.std_error
    # The model is right here, and little is left out beyond noise.
    straight = mutual_information(x, y)
    assert abs(straight.bias) < 2 * straight.std_error


@pytest.mark.parametrize(
    ("found", "weight", "bias"),
    [
        (0.1, 0.0, 0.0),
        (-0.1, 0.0, 0.0),
        (0.5, 0.0, -math.sqrt(0.25 - 0.01 * (1.2**2 + 0.35**2))),
        (-0.5, 1.0, math.sqrt(0.25 - 0.01 * 2 * 0.35**2)),
    ],
)
def test_only_what_is_beyond_noise_is_left_out(found: float, weight: float, bias: float) -> None:
    assert _left_out(found, 0.1, weight) == pytest.approx(bias, abs=1e-12)


def test_width_shrinks_as_the_root_of_the_rows() -> None:
    def width(n: int, seed: int) -> float:
        low, high = mutual_information(*bivariate(n, 0.6, seed)[:2], estimator="ksg1").interval
        return high - low

    ratio = np.mean([width(200, s) for s in range(6)]) / np.mean([width(800, s) for s in range(6)])
    assert ratio == pytest.approx(2, rel=0.3)


def test_the_caution_is_about_the_interval() -> None:
    x, noise = normal(300, 1, 7), normal(300, 1, 8)
    found = mutual_information(x, noise, estimator="ksg1")
    low, high = found.interval
    assert low < 0 < high
    (caution,) = found.warnings
    assert caution.kind == "inside-noise"
    assert (
        caution.sentence
        == f"0 is in the 95 % interval, {low:.2g} to {high:.2g} nats: no information is shown"
    )
    assert mutual_information(*clusters(300, 9)).warnings == ()


@pytest.mark.slow
def test_the_truth_is_inside_where_neighbours_are_biased() -> None:
    """Three classes in ten columns, 40 draws: 1.96 standard errors alone cover 33, which this would refuse."""
    centres = np.array([-2.0, 0.0, 2.0])
    grid = np.linspace(-12, 12, 20_001)
    density = np.exp(-((grid[:, None] - centres) ** 2) / 2).mean(1) / math.sqrt(2 * math.pi)
    truth = -trapezoid(density * np.log(density + 1e-300), grid) - 0.5 * math.log(2 * math.pi * math.e)
    inside = by_error_alone = 0
    for seed in range(40):
        generator = np.random.default_rng([55, seed])
        y = generator.integers(3, size=1000)
        x = generator.normal(size=(1000, 10)) + centres[y, None] / math.sqrt(10)
        found = mutual_information(torch.from_numpy(x), torch.from_numpy(y))
        low, high = found.interval
        inside += low <= truth <= high
        by_error_alone += abs(found.nats - truth) <= 1.96 * found.std_error
    assert inside >= 35
    assert by_error_alone < 35
