"""Known truths: other people's implementation in one dimension, closed forms, integrals, and what is zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from infopace.estimators import entropy, pairwise_distances, ross

from .samples import (
    Examples,
    bivariate,
    clusters,
    clusters_truth,
    dead,
    labels,
    neighbour_information,
    normal,
)


def nats(x: Examples, y: Examples, **options: object) -> float:
    return neighbour_information(x, y, std_error=False, **options).nats


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_one_column_equals_scikit_learn(seed: int, k: int) -> None:
    x, y = clusters(400, seed)
    theirs = mutual_info_classif(x, y, n_neighbors=k, random_state=0)[0]
    assert nats(x, y, k=k) == pytest.approx(theirs, abs=1e-3)
    first, second, _ = bivariate(400, 0.7, seed)
    theirs = mutual_info_regression(first[:, None], second, n_neighbors=k, random_state=0)[0]
    assert nats(first, second, k=k, norm="chebyshev", standardize="columns") == pytest.approx(
        theirs, abs=1e-3
    )


def test_right_where_scikit_learn_is_wrong() -> None:
    """Its noise is relative to the mean: a constant far from zero becomes noise, a far-off feature drowns."""
    y = np.repeat([0, 1], [60, 240])
    assert nats(np.full(300, 1e6), y) == pytest.approx(0, abs=0.02)
    x = np.sign(y - 0.5) + normal(300, 1)[:, 0] * 0.1
    assert nats(x + 2.0**40, y) == pytest.approx(entropy(y), abs=0.01)
    assert nats(np.full(300, 1e6), normal(300, 1)) == pytest.approx(0, abs=1e-12)
    assert nats(np.full(300, 1e6), np.full(300, 2.0)) == pytest.approx(0, abs=1e-12)


def test_scale_of_a_layer_does_not_matter() -> None:
    """KSG on (layer, one-hot label) gives 2.256, 0.014 and -0.173 at x1, x10 and x100 of the same layer."""
    y = labels(1000, 10)
    layer = np.maximum(normal(10, 64, 3)[y] * 2 + normal(1000, 64), 0)
    values = [nats(layer * scale, y) for scale in (0.1, 1, 10, 100)]
    assert values == pytest.approx([values[1]] * 4, abs=1e-12)
    assert values[1] == pytest.approx(entropy(y), abs=0.05)


@pytest.mark.parametrize("norm", ["euclidean", "chebyshev"])
def test_identical_examples_carry_nothing(norm: str) -> None:
    """Plain Ross gives -3.66 on a layer with 97 % identical examples."""
    values = [nats(dead(1000, 64), labels(1000, 10, seed), norm=norm) for seed in range(3)]
    assert max(map(abs, values)) < 0.04
    constant = nats(np.full((1000, 64), 3.0), labels(1000, 10), norm=norm)
    # Every class lacks its own example once: about (classes - 1) / n.
    assert constant == pytest.approx(0, abs=0.0101)
    y = labels(1000, 10)
    informative = np.where(y[:, None] == 0, np.abs(normal(1000, 64)), 0.0)
    truth = entropy(y == 0)
    assert nats(informative, y, norm=norm) == pytest.approx(truth, abs=0.04)


@pytest.mark.parametrize("d", [784, 3072])
def test_wide_noise_carries_nothing(d: int) -> None:
    """The three-entropy form gives 41 at d = 784. One draw has an sd of 0.02, the mean of four 0.01."""
    values = [
        nats(normal(1000, d, seed).astype(np.float32), labels(1000, 10, seed + 50)) for seed in range(4)
    ]
    assert abs(np.mean(values)) < 0.02
    assert max(map(abs, values)) < 0.06


@pytest.mark.parametrize("estimator", ["ksg1", "ksg2"])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_bivariate_normal(rho: float, estimator: str) -> None:
    draws = [bivariate(1000, rho, seed) for seed in range(6)]
    mean = np.mean([nats(x, y, estimator=estimator) for x, y, _ in draws])
    # sd of one draw 0.03-0.04; a joint radius for both counts would give KSG-2 about 0.48 at 0.9.
    assert mean == pytest.approx(draws[0][2], abs=0.04)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 5.0])
def test_gaussian_mixture_labels(distance: float) -> None:
    mean = np.mean([nats(*clusters(1000, seed, distance)) for seed in range(6)])
    assert mean == pytest.approx(clusters_truth(distance), abs=0.03)


def test_mixture_truth_at_its_ends() -> None:
    assert clusters_truth(0) == pytest.approx(0, abs=1e-9)
    assert clusters_truth(20) == pytest.approx(math.log(2), abs=1e-9)


def test_lattice_values_in_ksg() -> None:
    """Nothing is strictly nearer than a copy: counting strictly would give 9 nats for independent values."""
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 5, (2, 1000)).astype(float)
    for estimator in ("ksg1", "ksg2"):
        assert nats(x, y, estimator=estimator) == pytest.approx(0, abs=0.12)
        assert nats(x, x, estimator=estimator) == pytest.approx(entropy(x.astype(int)), abs=0.02)


def test_a_wide_layer_keeps_its_information_about_narrow_targets() -> None:
    """Divided by the deviation of one column, 512 units would outweigh the target: 0.007 nats."""
    z = normal(1000, 3)
    targets = z[:, :2] + 0.1 * normal(1000, 2, 1)
    for width in (16, 512):
        layer = np.maximum(z @ normal(3, width, 2), 0)
        assert 2 < nats(layer, targets) < math.log(101)


def test_separated_classes_reach_what_the_sample_allows() -> None:
    """Without ties the most that Ross can give is psi(n) - <psi(N_c)>: close to H(Y) for large classes."""
    y = np.repeat(np.arange(4), 100)
    most = digamma(400) - digamma(100)
    x = np.eye(4)[y] * 100 + normal(400, 4)
    assert ross(pairwise_distances(torch.from_numpy(x)), torch.from_numpy(y)) == pytest.approx(
        most, abs=1e-12
    )
    assert nats(x, y) == entropy(y)
    assert most == pytest.approx(entropy(y), abs=0.005)
