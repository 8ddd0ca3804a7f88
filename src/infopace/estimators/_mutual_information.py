"""One call for every kind of samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from infopace._checks import check_choice, whole
from infopace.estimators import _cautions as cautions
from infopace.estimators._estimate import Estimate
from infopace.estimators._inputs import (
    DROP,
    as_matrix,
    as_targets,
    check_neighbours,
    complete_examples,
    is_labels,
    labels_of_one_hot,
    labels_of_rows,
)
from infopace.estimators._neighbour_search._distances import NORMS
from infopace.estimators._neighbour_search._spaces import SCALES
from infopace.estimators._pairs import (
    BOUNDS,
    ESTIMATORS,
    OF_LABELS,
    Options,
    two_labels,
    two_vectors,
    vector_and_labels,
)


def mutual_information(
    x: Any,
    y: Any,
    *,
    k: int = 3,
    norm: str = "euclidean",
    estimator: str = "auto",
    standardize: str = "auto",
    std_error: bool = True,
    permutations: int = 0,
    missing: str = "refuse",
    on_permutation: Callable[[int, int], None] | None = None,
) -> Estimate:
    """Mutual information I(X;Y) between vectors or labels and vectors or labels, in nats.

    Args:
        x: (n, ...) numbers, n examples; trailing dimensions are flattened. Tensor (any device), array, list, table or
            column of pandas. Or (n,) labels: whole numbers, text, categories, anything hashable.
        y: The same. One column of whole numbers is labels: give a quantity as floats. Several columns are a vector.
        k: Neighbours, 1..n-1. Small k: less bias, more spread.
        norm: Distance inside a block: "euclidean", which is more accurate in high dimension, or "chebyshev".
        estimator: "auto" chooses by the kind of x and y and by n, and `Estimate.choice` says why. Then floats
            that repeat, as labels given as numbers and rounded values do, are counted.

            - A vector and labels: "ross" (neighbours), "linear-probe" (cross-validated lower bound).
            - Two vectors: "calibrated" (a model of the dependence, corrected by neighbours), "ksg1", "ksg2", "gao"
              (neighbours; "gao" for mixtures with point masses), "gaussian" (jointly normal).
            - Two sets of labels: "plug-in" (counts), "adjusted" (counts, where few examples share a pair of labels).
            - Any pair with a vector: critics trained on some examples and tested on others, "mine", "infonce", "smile".
        standardize: Scale of the columns, which decides who is a neighbour. "auto": "ranks" for two vectors, "none" for
            a vector and labels.

            - "ranks": every column becomes the normal scores of its ranks, so that an increasing map of a column
              changes nothing; then as "block".
            - "columns" divides every column by its deviation, "block" each block by the norm of its column deviations.
              Neighbours of labels do not depend on the scale of the block.
            - "none" leaves the scale alone.

            "calibrated" always takes ranks. "gaussian", the linear probe, critics and counts do not depend on scales.
        std_error: Whether to compute the error bar and bias of estimators with neighbours. It takes at most as much
            work again, from about 500 examples on; half of that for "calibrated".
        permutations: Random orders of y for `p_value`, each about as much work as the estimate; 0: none. For
            "calibrated" the neighbour estimate "ksg1" is permuted. Bounds have no p-value.
        missing: What happens to missing values: nan, None, pandas' NA and NaT, and what a mask covers. "refuse" raises;
            "drop" leaves out the examples that lack a value in x or in y, and says how many.
        on_permutation: Called with (done, permutations) after each permutation, and with done = 0 before the first: to
            show progress.

    Returns:
        An `Estimate`. Its value does not depend on the order of examples, on the device, or on the number format that
        holds the same numbers. Only the linear probe and trained critics depend on the order, because they split the
        examples by place. Equal input gives equal output.

    Raises:
        ValueError: a missing value that was not to be dropped, inf, an empty or mismatched input, k outside 1..n-1,
            an unknown word, an estimator that does not fit the kind of x and y.

    Each estimator names its source. The page "Which estimator?" says when each is right.

    >>> import torch
    >>> x = torch.linspace(0, 1, 200)
    >>> round(mutual_information(x, (x > 0.5).long()).nats, 2)
    0.69
    >>> mutual_information(["a", None, "b"] * 50, ["u", "v", "w"] * 50, missing="drop").n
    100
    """
    check_choice("norm", norm, NORMS)
    check_choice("estimator", estimator, ESTIMATORS)
    check_choice("standardize", standardize, SCALES)
    k, permutations = whole("k", k), whole("permutations", permutations, 0)
    if permutations and estimator in BOUNDS:
        raise ValueError(f"a bound has no p-value, got permutations = {permutations} for {estimator!r}")
    options = Options(estimator, k, norm, standardize, std_error, permutations, on_permutation)
    (samples, others), dropped = complete_examples({"x": x, "y": y}, missing)
    # A tensor may be a network's output, and to drop its missing values would hide that the network diverged.
    remedy = "" if isinstance(x, Tensor) else DROP
    estimate = _by_kind(samples, others, options, remedy)
    if not dropped:
        return estimate
    left_out = cautions.missing_values(dropped, dropped + len(samples))
    return dataclasses.replace(estimate, warnings=(left_out, *estimate.warnings))


def information_of_outputs(
    x: Tensor, y: Tensor, *, k: int, norm: str, estimator: str, std_error: bool
) -> Estimate:
    """The information in a network's outputs x (n, d) about targets y, with a term for each of the n examples.

    As `mutual_information` with one scale for all columns. But examples with equal outputs are all kept: a network
    maps different inputs to the same output, above all one that has collapsed.
    """
    return _by_kind(x, y, Options(estimator, k, norm, "block", std_error, 0, None, copies=False), "")


def _by_kind(samples: Tensor, others: Tensor, options: Options, remedy: str) -> Estimate:
    """Labels are (n,) whole numbers, vectors (n, d) floats; I(X;Y) = I(Y;X)."""
    if options.auto:
        samples = labels_of_one_hot(samples)
    if options.auto or options.estimator in OF_LABELS:
        others = labels_of_rows(labels_of_one_hot(others))
    labels = is_labels(samples)
    x = as_targets(samples, len(samples), name="x") if labels else as_matrix(samples, "x", remedy)
    y = as_targets(others, len(x), remedy=remedy).to(x.device)
    check_neighbours(options.k, len(x))
    match labels, not y.is_floating_point():
        case True, True:
            return two_labels(x, y, options)
        case True, False:
            return vector_and_labels(y, x, options, "y")
        case False, True:
            return vector_and_labels(x, y, options, "x")
        case _:
            return two_vectors(x, y, options)
