"""Scores of features for feature selection, with the values and the signature of scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from infopace._checks import whole
from infopace.estimators._arrays import as_array
from infopace.estimators._inputs import as_classes, as_matrix, as_tensor, check_same_number
from infopace.estimators._neighbour_search._two_lines import count_nearer
from infopace.estimators._sparse_table import raw_information

# Columns that are sorted at once: this many numbers (16 MB).
_CHUNK = 2**21
# The noise that breaks ties, relative to the larger of 1 and the mean size of a column of unit deviation.
_NOISE = 1e-10


def mutual_info_classif(
    X: Any,
    y: Any,
    *,
    discrete_features: Any = "auto",
    n_neighbors: int = 3,
    copy: bool = True,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> NDArray[np.float64]:
    """Mutual information of each feature with class labels, in nats: a drop-in for scikit-learn's function of the name.

    It takes the arguments of `sklearn.feature_selection.mutual_info_classif` and gives its values to 1e-12, with one
    sort for each feature instead of two trees. Give it to `SelectKBest` as `score_func`.

    A continuous feature is measured by Ross' formula with n_x counted strictly (Ross 2014), on values of unit
    deviation with noise of 1e-10 that breaks ties, cut at 0. A discrete one by the shares of its table (Cover & Thomas
    2006, eq. 2.28). For one value with an interval and warnings use `mutual_information`.

    Args:
        X: (n, d) features. Sparse matrices and tables of pandas too.
        y: (n,) labels of any hashable kind.
        discrete_features: "auto": all if X is sparse, else none. True or False for all, a mask (d,), or the numbers
            of the discrete columns.
        n_neighbors: Neighbours within a class, at least 1.
        copy: Accepted for the signature; X is never changed.
        random_state: Seed or `numpy.random.RandomState` of the noise. With the same seed the noise is scikit-learn's.
        n_jobs: Accepted for the signature.

    Returns:
        (d,) nats, at least 0.

    Raises:
        ValueError: X and y of different lengths, missing values, n_neighbors below 1, a mask of the wrong length.

    >>> features = np.array([[0.0, 3.0], [0.1, 1.0], [0.2, 2.0], [5.0, 1.5], [5.1, 2.5], [5.3, 3.5]])
    >>> mutual_info_classif(features, ["a", "a", "a", "b", "b", "b"], n_neighbors=1, random_state=0).round(2)
    array([0.78, 0.  ])
    """
    k = whole("n_neighbors", n_neighbors, 1)
    sparse = hasattr(X, "toarray") and hasattr(X, "nnz")
    features = _features(X)
    n, d = features.shape
    # Whole numbers that are given as floats are labels too.
    classes, sizes = as_classes(as_tensor(y, "y").reshape(-1))
    check_same_number(n, len(classes), "X", "y")
    discrete = _mask(discrete_features, d, sparse)
    scores = np.empty(d)
    for column in np.flatnonzero(discrete):
        values = torch.from_numpy(np.unique(features[:, column], return_inverse=True)[1])
        scores[column] = max(0.0, raw_information(values, classes))
    continuous = np.flatnonzero(~discrete)
    if len(continuous):
        noisy = torch.from_numpy(_without_ties(features[:, continuous], random_state))
        step = max(1, _CHUNK // n)
        parts = [_ross(part, classes, sizes, k) for part in noisy.T.contiguous().split(step)]
        scores[continuous] = torch.cat(parts).clamp(min=0).numpy()
    return scores


def _features(values: Any) -> NDArray[np.float64]:
    array = as_array(values, "X").array
    if array.ndim != 2:
        raise ValueError(f"X must be (n, d) features, got shape {array.shape}")
    return as_matrix(array.astype(np.float64), "X").numpy()


def _mask(discrete: Any, d: int, sparse: bool) -> NDArray[np.bool_]:
    if isinstance(discrete, str):
        if discrete != "auto":
            raise ValueError(
                f"discrete_features must be 'auto', True, False, a mask or numbers, got {discrete!r}"
            )
        discrete = sparse
    if isinstance(discrete, bool | np.bool_):
        return np.full(d, bool(discrete))
    given = np.asarray(discrete)
    if given.dtype == bool:
        if given.shape != (d,):
            raise ValueError(
                f"discrete_features must have one entry a feature, got {given.shape} for {d} features"
            )
        return given
    mask = np.zeros(d, dtype=bool)
    mask[given] = True
    return mask


def _without_ties(x: NDArray[np.float64], random_state: Any) -> NDArray[np.float64]:
    """Columns of unit deviation, with noise. It is drawn as scikit-learn draws it."""
    deviation = x.std(0)
    x = x / np.where(deviation < 10 * np.finfo(float).eps, 1.0, deviation)
    draws = random_state if hasattr(random_state, "standard_normal") else np.random.RandomState(random_state)
    return x + _NOISE * np.maximum(1, np.abs(x).mean(0)) * draws.standard_normal(size=x.shape)


def _ross(columns: torch.Tensor, classes: torch.Tensor, sizes: torch.Tensor, k: int) -> torch.Tensor:
    """(d,) values of columns (d, n); examples that are alone in their class are left out."""
    kept = sizes[classes] > 1
    columns, classes = columns[:, kept], classes[kept]
    n = columns.shape[1]
    if n == 0:
        return torch.full((len(columns),), torch.nan, dtype=torch.float64)
    radius, neighbours = torch.empty_like(columns), torch.empty(n, dtype=torch.float64)
    for number in torch.unique(classes).tolist():
        own = (classes == number).nonzero()[:, 0]
        size = min(k, len(own) - 1)
        ordered, order = columns[:, own].sort(1)
        radius[:, own] = torch.empty_like(ordered).scatter_(1, order, _kth_apart(ordered, size))
        neighbours[own] = float(size)
    ordered, order = columns.sort(1)
    within = count_nearer(ordered, radius.gather(1, order).square()) + 1
    psi = torch.digamma
    fixed = psi(torch.tensor(float(n), dtype=torch.float64)) + psi(neighbours).mean()
    return fixed - psi(sizes[classes].double()).mean() - psi(within).mean(1)


def _kth_apart(ordered: torch.Tensor, k: int) -> torch.Tensor:
    """Distance of each sorted value to its k-th nearest other one: the narrowest of the k + 1 windows it is in."""
    m = ordered.shape[1]
    best = torch.full_like(ordered, torch.inf)
    for below in range(k + 1):
        above = k - below
        here = slice(below, m - above)
        if m - above <= below:
            continue
        value = ordered[:, here]
        apart = torch.maximum(value - ordered[:, : m - k], ordered[:, k:] - value)
        best[:, here] = torch.minimum(best[:, here], apart)
    return best
