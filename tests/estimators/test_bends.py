"""Bends of columns by other columns of their block are taken back: they carry no information and hide a lot."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import mutual_information
from infopace.estimators._dependence._scores import normal_scores, uniform_scores
from infopace.estimators._dependence._straight import straightened

FEW = settings(max_examples=10, deadline=None, derandomize=True, database=None)

TRUE = -0.5 * (math.log(1 - 0.8**2) + math.log(1 - 0.7**2))


def vectors(n: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The first two columns of x and y are correlated by .8 and .7."""
    generator = np.random.default_rng(seed)
    x, noise = generator.normal(size=(2, n, width))
    share = np.array([0.8, 0.7, *[0.0] * (width - 2)])
    return x, share * x + np.sqrt(1 - share**2) * noise


def bent(x: np.ndarray, how: str, strength: float) -> np.ndarray:
    x = x.copy()
    x[:, 1] += strength * (np.sin(2 * x[:, 0]) if how == "waves" else x[:, 0] ** 2)
    return x


@pytest.mark.parametrize(
    ("width", "how"),
    [
        (4, "waves"),
        (2, "squares"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(2, "waves"), (6, "waves"), (6, "squares")]
        ),
    ],
)
def test_information_of_bent_vectors(width: int, how: str) -> None:
    x, y = vectors(1000, width, width)
    found = mutual_information(bent(x, how, 2.0), bent(y, how, 2.0))
    assert found.interval[0] < TRUE < found.interval[1]
    assert found.nats == pytest.approx(TRUE, abs=0.13)


def test_a_bent_column_is_straight_again() -> None:
    x = vectors(1000, 3, 0)[0]
    for seen in (bent(x, "waves", 2.0), np.exp(bent(x, "squares", 2.0))):
        found = straightened(uniform_scores(torch.from_numpy(seen)))
        assert found is not None
        z = normal_scores(found).numpy()
        assert np.corrcoef(z[:, 1], x[:, 1])[0, 1] > 0.9
        assert np.corrcoef(z[:, 0], x[:, 0])[0, 1] > 0.99
        assert np.corrcoef(z[:, 2], x[:, 2])[0, 1] > 0.99


@FEW
@given(st.integers(0, 1000), st.integers(2, 8), st.booleans())
def test_normal_columns_have_no_bends(seed: int, width: int, correlated: bool) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(300, width))
    if correlated:
        x = x @ generator.normal(size=(width, width))
    assert straightened(uniform_scores(torch.from_numpy(x**3))) is None


@settings(FEW, max_examples=2)
@given(st.integers(0, 1000), st.sampled_from(["exp", "cube", "scale"]))
def test_bent_vectors_are_the_same_after_increasing_maps(seed: int, how: str) -> None:
    x, y = vectors(250, 2, seed)
    x = bent(x, "waves", 3.0)
    mapped = {"exp": np.exp(2 * x), "cube": x**3, "scale": x * [1e-3, 1e3]}[how]
    assert mutual_information(mapped, y, std_error=False) == mutual_information(x, y, std_error=False)


def test_one_column_and_few_examples_are_left_as_they_are() -> None:
    x = torch.from_numpy(bent(vectors(1000, 2, 0)[0], "waves", 3.0))
    assert straightened(uniform_scores(x[:, :1])) is None
    assert straightened(uniform_scores(x[:150])) is None
    assert straightened(uniform_scores(x[:250])) is not None


def test_bends_in_both_directions_end() -> None:
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, 2 * math.pi, 500)
    ring = np.column_stack([np.cos(angle), np.sin(3 * angle), np.cos(2 * angle)])
    found = straightened(uniform_scores(torch.from_numpy(ring + 0.1 * generator.normal(size=ring.shape))))
    assert found is None or bool(((found > 0) & (found < 1)).all())


def test_clusters_keep_what_neighbours_find_in_them() -> None:
    """Columns of a cluster depend on each other. Without that dependence neighbours do not see the clusters."""
    generator = np.random.default_rng(5)
    centres = generator.normal(size=(4, 20))
    of_x, of_y = generator.integers(0, 4, (2, 1000))
    of_y = np.where(generator.uniform(size=1000) < 0.2, of_y, of_x)
    x = centres[of_x, :10] + 0.1 * generator.normal(size=(1000, 10))
    y = centres[of_y, 10:] + 0.1 * generator.normal(size=(1000, 10))
    assert straightened(uniform_scores(torch.from_numpy(x))) is not None
    assert mutual_information(x, y, std_error=False).nats > 0.6  # of 0.8; .2 where bends alone are taken back
