"""One call for every kind of target."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from infopace.estimators._distances import pairwise_distances
from infopace.estimators._error_bar import subsampling_std_error
from infopace.estimators._estimate import Estimate
from infopace.estimators._inputs import as_matrix, as_targets, check_choice, check_neighbours
from infopace.estimators._ksg import ksg1, ksg2
from infopace.estimators._labels import as_classes, entropy
from infopace.estimators._ross import ross, singletons
from infopace.estimators._scale import STANDARDIZE, standardized_distances

NORMS = ("euclidean", "chebyshev")
ESTIMATORS = ("auto", "ross", "ksg1", "ksg2")
# Perfectly separable outputs of 1000 classes, one row each, measure 0.57 of 9.17 bits; from about 20 rows a
# class the shortfall is within the sampling noise (measured for this project).
FEW_ROWS = 20


def mutual_information(
    x: Any,
    y: Any,
    *,
    k: int = 3,
    norm: str = "euclidean",
    estimator: str = "auto",
    standardize: str = "block",
    std_error: bool = True,
) -> Estimate:
    """Mutual information I(X;Y) between vectors and labels or vectors, in nats.

    Args:
        x: (n, ...) floating samples, one a row; trailing dimensions are flattened. Tensor or array.
        y: (n,) integers, which are class labels, or (n, ...) floats, which are continuous targets.
        k: Neighbours, 1..n-1. Small k: less bias, more spread.
        norm: Distance inside a block: "euclidean", the more accurate in high dimension, or "chebyshev".
        estimator: "auto" takes "ross" for labels and "ksg1" for continuous targets; "ksg2" is the other form.
        standardize: Scale of the two blocks for KSG: "block" divides each by the norm of its column
            deviations, "columns" each column by its own, "none" leaves them. Ross does not depend on the
            scale of x.
        std_error: Whether to compute the error bar (about as much work again).

    Returns:
        An `Estimate`. The value does not depend on the order of rows, on the number format that holds the
        same numbers, or on the device; equal input gives equal output.

    Raises:
        ValueError: nan or inf, an empty or mismatched input, k outside 1..n-1, an unknown word.

    Sources: Ross, PLoS ONE 9(2): e87357 (2014), with tie-aware counts; Kraskov et al., Phys. Rev. E 69,
        066138 (2004).

    >>> import torch
    >>> x = torch.linspace(0, 1, 200)
    >>> round(mutual_information(x, (x > 0.5).long()).nats, 2)
    0.69
    """
    check_choice("norm", norm, NORMS)
    check_choice("estimator", estimator, ESTIMATORS)
    check_choice("standardize", standardize, STANDARDIZE)
    matrix = as_matrix(x, "x")
    targets = as_targets(y, len(matrix)).to(matrix.device)
    check_neighbours(k, len(matrix))
    if targets.is_floating_point():
        if estimator == "ross":
            raise ValueError("estimator 'ross' needs integer labels, got floating targets")
        return _continuous(
            matrix, targets, k, norm, "ksg1" if estimator == "auto" else estimator, standardize, std_error
        )
    if estimator not in ("auto", "ross"):
        raise ValueError(f"estimator {estimator!r} needs floating targets, got integer labels")
    return _labelled(matrix, targets, k, norm, std_error)


def _labelled(x: Tensor, y: Tensor, k: int, norm: str, std_error: bool) -> Estimate:
    classes, sizes = as_classes(y)
    if int(sizes.max()) == 1:
        raise ValueError(f"labels must repeat, got {len(y)} rows with {len(y)} different labels")
    distances = pairwise_distances(x, norm)
    nats = ross(distances, classes, k)
    error = math.nan
    if std_error:
        error = subsampling_std_error(
            lambda part: ross(distances.subset(part.to(x.device)), classes[part.to(x.device)], k),
            len(y),
            k,
            classes,
        )
    warnings = []
    if alone := singletons(classes):
        warnings.append(f"{alone} rows are alone in their class and were left out")
    if int(sizes.min()) < FEW_ROWS:
        warnings.append(
            f"the smallest class has {int(sizes.min())} rows, under {FEW_ROWS}: the value is too low; "
            "take more rows or the decoder bound"
        )
    warnings += _constant(x, "x")
    return Estimate(
        nats, error, "ross", len(y) - alone, k, norm, entropy(classes[sizes[classes] > 1]), tuple(warnings)
    )


def _continuous(
    x: Tensor, y: Tensor, k: int, norm: str, estimator: str, standardize: str, std_error: bool
) -> Estimate:
    formula = ksg1 if estimator == "ksg1" else ksg2
    dx, dy = standardized_distances(x, norm, standardize), standardized_distances(y, norm, standardize)
    error = math.nan
    if std_error:
        error = subsampling_std_error(
            lambda part: formula(dx.subset(part.to(x.device)), dy.subset(part.to(x.device)), k), len(x), k
        )
    warnings = (*_constant(x, "x"), *_constant(y, "y"))
    return Estimate(formula(dx, dy, k), error, estimator, len(x), k, norm, math.inf, warnings)


def _constant(values: Tensor, name: str) -> list[str]:
    return [f"{name} is constant: it carries no information"] if bool((values == values[:1]).all()) else []
