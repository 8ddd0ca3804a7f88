"""One call for every kind of samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from infopace._checks import check_choice, whole
from infopace.estimators import _cautions as cautions
from infopace.estimators._dependence import calibrated_information
from infopace.estimators._error_bar import ErrorBar, subsampling_error_bar
from infopace.estimators._estimate import Caution, Estimate
from infopace.estimators._gaussian import gaussian, gaussian_std_error
from infopace.estimators._inputs import (
    DROP,
    as_matrix,
    as_targets,
    check_neighbours,
    complete_examples,
    is_labels,
)
from infopace.estimators._labels import as_classes, entropy
from infopace.estimators._linear_probe import linear_probe_bound
from infopace.estimators._neighbours import VECTOR_FORMULAS, Neighbours, of_labels, of_vectors
from infopace.estimators._neural import neural_bound
from infopace.estimators._permutation import p_value, permutation_null
from infopace.estimators._plug_in import plug_in, plug_in_std_error
from infopace.estimators._ross import singletons
from infopace.estimators._scale import STANDARDIZE

NORMS = ("euclidean", "chebyshev")
NEURAL = ("mine", "infonce", "smile")
OF_LABELS = ("ross", "linear-probe", *NEURAL)
OF_VECTORS = ("calibrated", *VECTOR_FORMULAS, "gaussian", *NEURAL)
ESTIMATORS = ("auto", *dict.fromkeys((*OF_LABELS, *OF_VECTORS)), "plug-in")
# Calibration compares all rows a dozen times: about 3 s at 5,000 rows on one core, and growing with the square.
_MOST_CALIBRATED = 10_000
# And it ranks and factors all columns: at 1,000 rows 3 s for 1,000 columns, 10 s for 10,000, 47 s and 5 GB for
# 100,000 (two cores; results/estimators_speed.jsonl).
_WIDEST_CALIBRATED = 1_000


@dataclasses.dataclass(frozen=True)
class _Options:
    k: int
    norm: str
    standardize: str
    std_error: bool
    permutations: int


def mutual_information(
    x: Any,
    y: Any,
    *,
    k: int = 3,
    norm: str = "euclidean",
    estimator: str = "auto",
    standardize: str = "block",
    std_error: bool = True,
    permutations: int = 0,
    missing: str = "refuse",
) -> Estimate:
    """Mutual information I(X;Y) between vectors or labels and vectors or labels, in nats.

    Args:
        x: (n, ...) numbers, one example a row; trailing dimensions are flattened. Tensor (any device), array, list,
            table or column of pandas. Or (n,) labels: whole numbers, text, categories, anything hashable.
        y: The same. One column of whole numbers is labels: give a quantity as floats. Several are a vector.
        k: Neighbours, 1..n-1. Small k: less bias, more spread.
        norm: Distance inside a block: "euclidean", which is the more accurate in high dimension, or "chebyshev".
        estimator: "auto" looks at the kind of x and y and at n. Vectors and labels: "ross" (neighbours),
            "linear-probe" (cross-validated lower bound). Two vectors: "calibrated" (a model of the dependence,
            corrected by neighbours), "ksg1", "ksg2", "gao" (neighbours; gao for mixtures with point masses),
            "gaussian" (jointly normal). Two labels: "plug-in". And critics trained on some rows and tested on
            others: "mine", "infonce", "smile".
        standardize: Scale of the two blocks for KSG and Gao: "block" divides each by the norm of its column
            deviations, "columns" each column by its own, "none" leaves them. The others do not depend on it.
        std_error: Whether to compute the error bar and bias of estimators with neighbours (about as much work
            again; a fifth for "calibrated").
        permutations: Random re-orderings of y for `p_value`, each about as much work as the estimate; 0: none.
            For "calibrated" the neighbour estimate ("ksg1") is what is permuted. Bounds have no p-value.
        missing: nan, None, pandas' NA and NaT and what a mask covers are missing values. "refuse" raises where there
            is one; "drop" leaves out the examples that lack a value in x or in y, and says how many.

    Returns:
        An `Estimate`. The value does not depend on the order of rows, on the number format that holds the same
        numbers, or on the device; but the linear probe and trained critics split the rows by their place. Equal
        input gives equal output.

    Raises:
        ValueError: a missing value that was not to be dropped, inf, an empty or mismatched input, k outside 1..n-1,
            an unknown word, an estimator that does not fit the kind of x and y.

    Sources are named with each estimator; see the page "Which estimator?" for when each is right.

    >>> import torch
    >>> x = torch.linspace(0, 1, 200)
    >>> round(mutual_information(x, (x > 0.5).long()).nats, 2)
    0.69
    >>> mutual_information(["a", None, "b"] * 50, ["u", "v", "w"] * 50, missing="drop").n
    100
    """
    check_choice("norm", norm, NORMS)
    check_choice("estimator", estimator, ESTIMATORS)
    check_choice("standardize", standardize, STANDARDIZE)
    k, permutations = whole("k", k), whole("permutations", permutations, 0)
    options = _Options(k, norm, standardize, std_error, permutations)
    (samples, others), dropped = complete_examples({"x": x, "y": y}, missing)
    # A tensor may be a network's output, which nobody repairs by leaving examples out.
    remedy = "" if isinstance(x, Tensor) else DROP
    estimate = _by_kind(samples, others, options, estimator, remedy)
    if not dropped:
        return estimate
    left_out = cautions.missing_values(dropped, dropped + len(samples))
    return dataclasses.replace(estimate, warnings=(left_out, *estimate.warnings))


def _by_kind(samples: Tensor, others: Tensor, options: _Options, estimator: str, remedy: str) -> Estimate:
    if is_labels(samples):
        labels = as_targets(samples, len(samples), name="x")
        targets = as_targets(others, len(labels), remedy=remedy).to(labels.device)
        check_neighbours(options.k, len(labels))
        if not targets.is_floating_point():
            return _two_labels(labels, targets, options, estimator)
        # I(X;Y) = I(Y;X)
        return _vectors_and_labels(targets, labels, options, estimator, "y")
    matrix = as_matrix(samples, "x", remedy)
    targets = as_targets(others, len(matrix), remedy=remedy).to(matrix.device)
    check_neighbours(options.k, len(matrix))
    if targets.is_floating_point():
        return _two_vectors(matrix, targets, options, estimator)
    return _vectors_and_labels(matrix, targets, options, estimator, "x")


def _vectors_and_labels(x: Tensor, y: Tensor, options: _Options, estimator: str, name: str) -> Estimate:
    _check_kind(estimator, OF_LABELS, "floating targets, got integer labels")
    if estimator in NEURAL:
        return _plain(neural_bound(x, y, bound=estimator), options)
    if estimator == "linear-probe":
        return _plain(linear_probe_bound(x, y), options)
    classes, sizes = as_classes(y)
    other = "y" if name == "x" else "x"
    if int(sizes.max()) == 1:
        raise ValueError(
            f"labels must repeat, got {len(y)} rows with {len(y)} different labels; where {other} is a quantity,"
            " give it as floats"
        )
    alone = singletons(classes)
    found = of_labels(x, classes, options.k, options.norm)
    warnings = [
        *cautions.class_sizes(sizes, alone),
        *cautions.columns(x, name),
        *cautions.columns(y[:, None], other),
        *cautions.many_labels(sizes, other, options.k),
        *cautions.reach(found.distances, classes, options.k, options.norm, x.shape[1]),
    ]
    return _by_neighbours(
        found,
        Estimate(
            found.nats,
            math.nan,
            "ross",
            len(y) - alone,
            options.k,
            options.norm,
            entropy(classes[sizes[classes] > 1]),
            choice="ross: neighbours, for a vector and labels" if estimator == "auto" else "",
            pointwise=found.pointwise,
        ),
        options,
        warnings,
        len(y),
        classes,
    )


def _two_vectors(x: Tensor, y: Tensor, options: _Options, estimator: str) -> Estimate:
    _check_kind(estimator, OF_VECTORS, "integer labels, got floating targets")
    if estimator in NEURAL:
        return _plain(neural_bound(x, y, bound=estimator), options)
    n, k, norm = len(x), options.k, options.norm
    warnings = [
        *cautions.few_examples(n),
        *cautions.columns(x, "x"),
        *cautions.columns(y, "y"),
        *cautions.repeats(y, "y", k),
    ]
    if estimator == "gaussian":
        nats = gaussian(x, y)
        error = gaussian_std_error(x, y) if math.isfinite(nats) else math.nan
        estimate = Estimate(nats, error, estimator, n, 0, "", math.inf)
        return _finish(estimate, n, lambda order: gaussian(x, y[order.to(y.device)]), options, warnings)
    width = x.shape[1] + y.shape[1]
    fits = n <= _MOST_CALIBRATED and width <= _WIDEST_CALIBRATED
    if estimator == "calibrated" or (estimator == "auto" and fits):
        return _calibrated(x, y, options, estimator, warnings)
    choice = ""
    if estimator == "auto":
        many = f"{_MOST_CALIBRATED} rows" if n > _MOST_CALIBRATED else f"{_WIDEST_CALIBRATED} columns"
        estimator, choice = "ksg1", f"ksg1: neighbours, for two vectors of more than {many}"
    found = of_vectors(estimator, x, y, k, norm, options.standardize)
    warnings += cautions.reach(found.distances, None, k, norm, width)
    estimate = Estimate(
        found.nats, math.nan, estimator, n, k, norm, math.inf, choice=choice, pointwise=found.pointwise
    )
    return _by_neighbours(found, estimate, options, warnings, n, None)


def _calibrated(x: Tensor, y: Tensor, options: _Options, estimator: str, warnings: list[Caution]) -> Estimate:
    found = calibrated_information(x.cpu(), y.cpu(), options.k, options.std_error)
    choice = f"calibrated: {found.model} fits rows that it has not seen best" if estimator == "auto" else ""
    estimate = Estimate(
        found.nats,
        method="calibrated",
        n=len(x),
        k=options.k,
        norm="euclidean",
        ceiling=math.inf,
        choice=choice,
        **dataclasses.asdict(found.error),
    )
    if not options.permutations:
        return _finish(estimate, len(x), None, options, warnings)
    neighbours = of_vectors("ksg1", x, y, options.k, options.norm, options.standardize)
    return _finish(estimate, len(x), neighbours.shuffled, options, warnings, neighbours.nats)


def _two_labels(x: Tensor, y: Tensor, options: _Options, estimator: str) -> Estimate:
    _check_kind(estimator, ("plug-in",), "a vector, got two sets of labels")
    estimate = Estimate(
        plug_in(x, y),
        plug_in_std_error(x, y),
        "plug-in",
        len(x),
        0,
        "",
        min(entropy(x), entropy(y)),
        choice="plug-in: counts, for two sets of labels" if estimator == "auto" else "",
    )
    return _finish(estimate, len(x), lambda order: plug_in(x, y[order.to(y.device)]), options, [])


def _by_neighbours(
    found: Neighbours,
    estimate: Estimate,
    options: _Options,
    warnings: list[Caution],
    n: int,
    classes: Tensor | None,
) -> Estimate:
    bar = ErrorBar()
    if options.std_error:
        bar = subsampling_error_bar(found.of_part, found.nats, n, options.k, classes)
    estimate = dataclasses.replace(estimate, **dataclasses.asdict(bar))
    return _finish(estimate, n, found.shuffled, options, warnings)


def _finish(
    estimate: Estimate,
    n: int,
    shuffled: Callable[[Tensor], float] | None,
    options: _Options,
    warnings: list[Caution],
    tested: float | None = None,
) -> Estimate:
    """Add the p-value (of `tested`, where that is not the value itself) and the cautions."""
    p = math.nan
    if options.permutations and shuffled is not None:
        null = permutation_null(shuffled, n, options.permutations)
        p = p_value(estimate.nats if tested is None else tested, null)
    warnings = [*warnings, *cautions.noise(estimate.interval)]
    return dataclasses.replace(estimate, warnings=tuple(warnings), p_value=p)


def _plain(bound: Estimate, options: _Options) -> Estimate:
    if options.permutations:
        raise ValueError(
            f"a bound has no p-value, got permutations = {options.permutations} for {bound.method!r}"
        )
    return bound


def _check_kind(estimator: str, fitting: tuple[str, ...], need: str) -> None:
    if estimator == "plug-in" and estimator not in fitting:
        need = "two sets of labels, got a vector"
    if estimator != "auto" and estimator not in fitting:
        raise ValueError(f"estimator {estimator!r} needs {need}")
