"""Feature scores: the values of scikit-learn's function, in one call, as its selectors use them."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import SelectKBest
from sklearn.feature_selection import mutual_info_classif as theirs
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from infopace.estimators import mutual_info_classif

FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def features(n: int, d: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.integers(classes, size=n)
    x = generator.normal(size=(n, d)) + generator.normal(size=(classes, d))[y]
    x[:, 0] = np.round(x[:, 0])
    x[:, -1] = 7.0
    x[:, 1:-1] *= 10.0 ** generator.integers(-3, 4, size=d - 2)
    return x, y


@FEW
@given(
    st.integers(0, 10_000), st.sampled_from([60, 200]), st.sampled_from([1, 3, 5]), st.sampled_from([2, 4])
)
def test_values_are_scikit_learns(seed: int, n: int, k: int, classes: int) -> None:
    x, y = features(n, 4, classes, seed)
    for discrete in ("auto", [0], np.array([True, False, False, True])):
        options = {"discrete_features": discrete, "n_neighbors": k, "random_state": seed}
        np.testing.assert_allclose(mutual_info_classif(x, y, **options), theirs(x, y, **options), atol=1e-12)


def test_classes_of_one_and_words() -> None:
    x, y = features(80, 3, 3, 1)
    y[0] = 9
    words = np.array(["ant", "bee", "cow", "", "", "", "", "", "", "yak"])[y]
    expected = theirs(x, words, random_state=2)
    for labels in (words, words.tolist(), pd.Series(words, dtype="category"), y.astype(float)):
        np.testing.assert_allclose(mutual_info_classif(x, labels, random_state=2), expected, atol=1e-12)


def test_sparse_features_are_discrete() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=100)
    x = scipy.sparse.csr_matrix((generator.random((100, 5)) < 0.2 + 0.2 * (y == 1)[:, None]).astype(float))
    np.testing.assert_allclose(mutual_info_classif(x, y), theirs(x, y), atol=1e-12)


def test_it_selects_in_a_pipeline() -> None:
    x, y = features(200, 6, 3, 3)
    pipeline = make_pipeline(
        SelectKBest(mutual_info_classif, k=2), DecisionTreeClassifier(random_state=0)
    ).fit(x, y)
    assert pipeline.score(x, y) > 0.9


def test_it_is_not_slower_at_twenty_columns() -> None:
    x, y = features(1000, 20, 4, 0)

    def seconds(score: object) -> float:
        start = time.process_time()
        score(x, y, random_state=0)  # type: ignore[operator]
        return time.process_time() - start

    ours = min(seconds(mutual_info_classif) for _ in range(3))
    assert ours <= min(seconds(theirs) for _ in range(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discrete_features": "all"}, "discrete_features must be"),
        ({"discrete_features": [True]}, "one entry a feature"),
        ({"n_neighbors": 0}, "n_neighbors must be"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mutual_info_classif(*features(30, 3, 2, 0), **options)  # type: ignore[arg-type]
