"""Ross and KSG-1 on the neighbour searches of other packages. Right where nothing is tied.

scikit-learn's own mutual_info_classif and mutual_info_regression take one column at a time. Here its trees search all
columns, as its code does for one. Ross: the k-th neighbour in the class, then a count over all examples. KSG: joint
neighbours, then two counts. KSG takes the larger of two block distances, so the blocks must be on one scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.special import digamma

K = 3


def with_tree(tree: type, x: np.ndarray, y: np.ndarray) -> float:
    """Chebyshev searches in a KDTree or BallTree of scikit-learn."""
    if y.ndim == 1:
        radius, own = np.empty(len(x)), np.empty(len(x))
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            distance, _ = tree(x[rows], metric="chebyshev").query(x[rows], K + 1)
            radius[rows], own[rows] = distance[:, -1], len(rows)
        within = tree(x, metric="chebyshev").query_radius(x, radius, count_only=True) - 1
        return ross_formula(own, within)
    joint = np.hstack([x, y])
    distance, _ = tree(joint, metric="chebyshev").query(joint, K + 1)
    radius = np.nextafter(distance[:, -1], 0)
    counts = [tree(b, metric="chebyshev").query_radius(b, radius, count_only=True) for b in (x, y)]
    return ksg_formula(len(x), counts[0], counts[1])


def with_matrix(matrix: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """The whole matrix of distances, then partial sorts and counts in numpy."""
    distances = matrix(x)
    if y.ndim == 1:
        radius, own = np.empty(len(x)), np.empty(len(x))
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            radius[rows] = np.partition(distances[np.ix_(rows, rows)], K, axis=1)[:, K]
            own[rows] = len(rows)
        return ross_formula(own, (distances <= radius[:, None]).sum(1) - 1)
    of_y = matrix(y)
    radius = np.partition(np.maximum(distances, of_y), K, axis=1)[:, K : K + 1]
    return ksg_formula(len(x), (distances < radius).sum(1), (of_y < radius).sum(1))


def scipy_matrix(x: np.ndarray) -> np.ndarray:
    return cdist(x, x, "chebyshev")


def torch_matrix(x: np.ndarray) -> np.ndarray:
    """torch.cdist as it comes: Euclidean, by a matrix product from 25 rows on; a block of unit columns weighs 1."""
    tensor = torch.from_numpy(x / math.sqrt(x.shape[1]))
    distances = torch.cdist(tensor, tensor)
    # Rounding gives an example some distance from itself.
    return distances.fill_diagonal_(0).numpy()


def infomeasure_ksg(x: np.ndarray, y: np.ndarray) -> float:
    import infomeasure  # pyright: ignore[reportMissingImports]

    return float(infomeasure.mutual_information(x, y, approach="ksg", k=K, ksg_id=1, noise_level=0))


def npeet(x: np.ndarray, y: np.ndarray) -> float:
    """NPEET, as the package npeet_plus has it: KSG-1, or for labels a difference of entropies."""
    import npeet_plus  # pyright: ignore[reportMissingImports]

    if y.ndim == 1:
        return float(npeet_plus.micd(x, y[:, None], k=K, base=math.e))
    return float(npeet_plus.mi(x, y, k=K, base=math.e))


def column_of_scikit_learn(x: np.ndarray, y: np.ndarray) -> float:
    """scikit-learn's own function, which takes one column at a time."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    function, target = (mutual_info_classif, y) if y.ndim == 1 else (mutual_info_regression, y[:, 0])
    return float(function(x, target, n_neighbors=K, random_state=0)[0])  # all columns are quantities


def ross_formula(own: np.ndarray, within: np.ndarray) -> float:
    return float(digamma(len(own)) + digamma(K) - np.mean(digamma(own) + digamma(within)))


def ksg_formula(n: int, n_x: np.ndarray, n_y: np.ndarray) -> float:
    """Counts include the example itself: they are n_x + 1 and n_y + 1."""
    return float(digamma(n) + digamma(K) - np.mean(digamma(n_x) + digamma(n_y)))
