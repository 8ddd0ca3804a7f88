"""KSG-1 of two single columns by sorted values: the bits of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace.estimators._ksg import ksg1_terms
from infopace.estimators._neighbour_search._counts import value
from infopace.estimators._neighbour_search._spaces import scale_factor, standardized_distances
from infopace.estimators._neighbour_search._two_lines import lines_ksg1_terms, lines_ksg1_values

FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@FEW
@given(
    st.integers(0, 10_000),
    st.sampled_from([20, 90, 300]),
    st.sampled_from([1, 3, 7]),
    st.sampled_from(["block", "none"]),
    st.sampled_from(["normal", "rounded", "heavy", "equal steps"]),
)
def test_terms_are_those_of_all_pairs(seed: int, n: int, k: int, how: str, kind: str) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, n, 1))
    y += x * generator.integers(0, 3)
    if kind == "rounded":
        x, y = np.round(x, 1), np.round(y, 1)
    if kind == "heavy":
        x = np.exp(5 * x)
    if kind == "equal steps":
        x = generator.permutation(n)[:, None] / 7.0
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    factors = (scale_factor(x, "euclidean", how), scale_factor(y, "euclidean", how))
    found = lines_ksg1_terms(x[:, 0], y[:, 0], k, factors)
    distances = [standardized_distances(block, "euclidean", how) for block in (x, y)]
    expected, copied = ksg1_terms(distances[0], distances[1], k)
    assert (found is None) == bool(copied.any())
    if found is not None:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_examples(n: int) -> None:
    x = torch.arange(float(n), dtype=torch.float64)
    assert lines_ksg1_terms(x, x, 1, (1.0, 1.0)) is not None


@pytest.mark.parametrize("step", [0.0, 0.2])
def test_parts_at_once_as_one_after_the_other(step: float) -> None:
    generator = np.random.default_rng(4)
    x, y = (
        torch.from_numpy(np.round(v / step) * step if step else v) for v in generator.normal(size=(2, 303))
    )
    order, factors = torch.randperm(303, generator=torch.Generator().manual_seed(0)), (1.0, 1.7)
    parts = [order[part::10] for part in range(10)]
    found = lines_ksg1_values(x, y, 3, factors, parts)
    terms = [lines_ksg1_terms(x[part], y[part], 3, factors) for part in parts]
    assert found == (
        None if any(each is None for each in terms) else [value(each) for each in terms if each is not None]
    )
