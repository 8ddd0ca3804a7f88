"""Functions and columns chosen on other examples: structure in few of many columns is found, or said to be missed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infopace import Estimate, mutual_information
from infopace.estimators._dependence import calibrated_information

Pair = tuple[np.ndarray, np.ndarray]


def _beyond_reach(found: Estimate) -> bool:
    return "beyond-reach" in {caution.kind for caution in found.warnings}


def _noise_beside(
    x: np.ndarray, columns: int, generator: np.random.Generator, scale: float = 1.0
) -> np.ndarray:
    return np.hstack([x, scale * generator.normal(size=(len(x), columns))])


def sine(seed: int) -> Pair:
    """y is a sine of one of nine columns."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(size=(1000, 1))
    y = np.sin(4 * math.pi * x) + 0.3 * generator.normal(size=(1000, 1))
    return _noise_beside(x, 8, generator), y


def test_one_column_of_nine_is_found() -> None:
    x, y = sine(0)
    alone = mutual_information(x[:, :1], y).nats
    found = mutual_information(x, y)
    # Neighbours in all columns find 0.06 nats.
    assert found.nats > 0.8 * alone
    assert _beyond_reach(found)


@pytest.mark.parametrize("others", [2, 5])
@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_columns_of_a_large_scale_hide_labels(others: int, scale: float) -> None:
    generator = np.random.default_rng(others)
    y = generator.integers(2, size=1000)
    x = _noise_beside((4 * y - 2 + generator.normal(size=1000))[:, None], others, generator, scale)
    found = mutual_information(x, y)
    assert _beyond_reach(found)
    assert found.interval[1] > 0.55
    assert mutual_information(x, y, standardize="ranks").nats > 0.5


def test_two_columns_of_eight_decide_together() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(1000, 8))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    assert mutual_information(x, y, estimator="ross").nats < 0.4
    found = mutual_information(x, y)
    assert 0.55 < found.nats < math.log(2)
    assert _beyond_reach(found)
    assert found.pointwise is not None
    assert float(found.pointwise.mean()) == pytest.approx(found.nats)


@pytest.mark.parametrize("columns", [10, 20])
def test_one_column_of_many_decides(columns: int) -> None:
    generator = np.random.default_rng(2)
    y = generator.integers(0, 2, 1000)
    x = generator.normal(size=(1000, columns))
    x[:, 3] = 0.4 * x[:, 3] + 0.7 * (2 * y - 1)
    known = mutual_information(x[:, 3:4], y).nats
    assert mutual_information(x, y, estimator="ross").nats < known - 0.05
    assert mutual_information(x, y).nats == pytest.approx(known, abs=0.05)


@pytest.mark.parametrize("columns", [2, 6, 30])
def test_labels_of_nothing_are_not_raised(columns: int) -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        x, y = generator.normal(size=(600, columns)), generator.integers(0, 3, 600)
        found = mutual_information(x, y)
        assert found.nats == mutual_information(x, y, estimator="ross").nats
        assert columns == 30 or not _beyond_reach(found)


@pytest.mark.parametrize("shape", [(3, 3), (10, 10), (40, 2)])
def test_independent_vectors_are_not_raised(shape: tuple[int, int]) -> None:
    for seed in range(3):
        generator = np.random.default_rng(seed)
        found = mutual_information(
            generator.normal(size=(600, shape[0])), generator.normal(size=(600, shape[1]))
        )
        assert abs(found.nats) < 0.03
        assert not _beyond_reach(found)


def test_jointly_normal_vectors_carry_no_warning() -> None:
    for seed in range(2):
        generator = np.random.default_rng(seed)
        x, y = generator.normal(size=(2, 1000, 5))
        y[:, :2] = 0.8 * x[:, :2] + 0.6 * y[:, :2]
        assert not _beyond_reach(mutual_information(x, y))


def test_classes_apart_are_not_said_to_be_missed() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=1000)
    x = generator.normal(size=(1000, 2)) + 1.5 * np.eye(3)[y][:, :2]
    assert not _beyond_reach(mutual_information(x, y))


def test_equal_frequencies_of_separable_classes_have_an_error() -> None:
    """The entropy of 50 classes is in the interval, although it is the same in every such sample."""
    generator = np.random.default_rng(0)
    y = generator.permutation(np.arange(500) % 50)
    x = 20 * generator.normal(size=(50, 16))[y] + generator.normal(size=(500, 16))
    low, high = mutual_information(x, y).interval
    assert low < math.log(50) < high


def test_never_below_the_bound_of_a_model() -> None:
    """A bent column: the mixture's own held-out bound is above what neighbours leave of it."""
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=(1000, 2)), generator.normal(size=(1000, 1))
    y[:, 0] = 0.85 * x[:, 0] + math.sqrt(1 - 0.85**2) * y[:, 0]
    x[:, 1] += 2 * np.sin(2 * x[:, 0])
    found = calibrated_information(torch.from_numpy(x), torch.from_numpy(y))
    assert found.nats >= max(found.bounds.values())


def test_more_columns_than_examples_tell_apart_are_said() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 200))
    assert _beyond_reach(mutual_information(x, x[:, :1] + generator.normal(size=(400, 1))))


def test_constant_samples_carry_nothing() -> None:
    generator = np.random.default_rng(0)
    x, ones = generator.normal(size=(400, 3)), np.ones((400, 2))
    assert mutual_information(ones, np.ones((400, 1))).nats == 0
    assert mutual_information(x, ones).nats == 0
    assert mutual_information(x, np.zeros(400, dtype=int)).nats == pytest.approx(0, abs=0.01)
    # A constant column beside one that repeats is no noise.
    y = np.round(x[:, :1] + generator.normal(size=(400, 1)), 1)
    beside = mutual_information(np.hstack([x[:, :1], ones[:, :1]]), y)
    assert beside.nats == pytest.approx(mutual_information(x[:, :1], y).nats, abs=0.05)


def test_tiny_numbers_are_numbers() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 400, 2))
    y += x
    found = [mutual_information(scale * x, scale * y).nats for scale in (1.0, 1e-300, 1e140)]
    assert found == pytest.approx([found[0]] * 3, abs=1e-9)
