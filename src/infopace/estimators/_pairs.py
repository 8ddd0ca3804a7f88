"""One estimate for each kind of pair: a vector and labels, two vectors, two sets of labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from torch import Tensor

from infopace.estimators import _cautions as cautions
from infopace.estimators._atoms import Atoms, repeats_in_columns, without_ties
from infopace.estimators._blocks import (
    as_ranks,
    first_copies,
    log_ratios,
    unit_columns,
    without_redundant,
)
from infopace.estimators._dependence import calibrated_information, projected_on_classes
from infopace.estimators._dependence._scores import varying
from infopace.estimators._error_bar import ErrorBar, is_unresolved, subsampling_error_bar
from infopace.estimators._estimate import Caution, Estimate
from infopace.estimators._gaussian import gaussian, gaussian_std_error
from infopace.estimators._inputs import (
    as_classes,
)
from infopace.estimators._linear_probe import linear_probe_bound
from infopace.estimators._neighbour_search._choose import VECTOR_FORMULAS, Neighbours, of_labels, of_vectors
from infopace.estimators._neural import BOUNDS as NEURAL
from infopace.estimators._neural import neural_bound
from infopace.estimators._permutation import p_value, permutation_null
from infopace.estimators._plug_in import corrected_entropy, entropy, plug_in, plug_in_std_error
from infopace.estimators._ross import singletons
from infopace.estimators._sparse_table import adjusted_information, alone_in_cell, is_sparse, raw_information

# What fits each kind of pair.
OF_LABELS = ("ross", "linear-probe", *NEURAL)
OF_VECTORS = ("calibrated", *VECTOR_FORMULAS, "gaussian", *NEURAL)
OF_TABLES = ("plug-in", "adjusted")
ESTIMATORS = ("auto", *dict.fromkeys((*OF_LABELS, *OF_VECTORS, *OF_TABLES)))
BOUNDS = ("linear-probe", *NEURAL)
# Calibration compares all pairs a dozen times: about 3 s at 5,000 examples on one core, growing with the square.
_MOST_CALIBRATED = 10_000
# It also ranks and factors all columns. At 1,000 examples 1,000 columns take 3 s, 10,000 take 10 s, 100,000 take 47 s
# and 5 GB (two cores; results/estimators_speed.jsonl).
_WIDEST_CALIBRATED = 1_000
# Nats that neighbours may have missed beside what they found beyond the model: from here on it is said.
_UNEXPLAINED = 0.1


@dataclasses.dataclass(frozen=True)
class Options:
    """What the caller of `mutual_information` chose."""

    estimator: str
    k: int
    norm: str
    standardize: str
    std_error: bool
    permutations: int
    on_permutation: Callable[[int, int], None] | None
    # Whether examples with equal values are copies of one. Those of a network are not: it maps many inputs to one.
    copies: bool = True

    @property
    def auto(self) -> bool:
        return self.estimator == "auto"

    @property
    def ranks(self) -> bool:
        """Whether two vectors are measured on ranks."""
        return self.standardize in ("auto", "ranks") or self.estimator in ("auto", "calibrated")


def vector_and_labels(x: Tensor, y: Tensor, options: Options, name: str) -> Estimate:
    """A vector (n, d) and labels (n,); `name` is what the caller calls the vector."""
    _check_fits(options, OF_LABELS, "floating targets, got integer labels")
    if options.estimator in NEURAL:
        return neural_bound(x, y, bound=options.estimator)
    if options.estimator == "linear-probe":
        return linear_probe_bound(x, y)
    classes, sizes = as_classes(y)
    other = "y" if name == "x" else "x"
    if int(sizes.max()) == 1:
        raise ValueError(
            f"labels must repeat, got {len(y)} examples with {len(y)} different labels; where {other} is a quantity,"
            " give it as floats"
        )
    keep = first_copies(x, classes) if options.copies else None
    if keep is not None:
        return _without_copies(vector_and_labels(x[keep], y[keep], options, name), keep)
    alone = singletons(classes)
    scaled = _scaled_for_labels(x, options.standardize)
    found = of_labels(scaled, classes, options.k, options.norm)
    most = entropy(classes[sizes[classes] > 1])
    apart = found.nats >= most
    warnings = [
        *cautions.dominated(scaled, name),
        *cautions.class_sizes(sizes, alone, apart),
        *cautions.columns(x, name),
        *cautions.columns(y[:, None], other),
        *cautions.many_labels(sizes, other, options.k),
        *cautions.reach(found.distances, classes, options.k, options.norm, x.shape[1]),
    ]
    estimate = Estimate(
        found.nats,
        math.nan,
        "ross",
        len(y) - alone,
        options.k,
        options.norm,
        most,
        choice="ross: neighbours, for a vector and labels" if options.auto else "",
        pointwise=found.pointwise,
    )
    shown = None
    # What networks know is read by neighbours in their outputs as they are, as the papers do.
    if options.auto and options.copies and not apart and x.shape[1] > 1 and len(sizes) > 1:
        functions = projected_on_classes(x.cpu(), classes.cpu(), options.k)
        shown = functions and functions.highest(max(found.nats, 0.0))
    if shown:
        warnings.append(cautions.raised(shown[0], found.nats))
    estimate = _by_neighbours(found, estimate, options, warnings, len(y), classes, shown)
    return _up_to_entropy(estimate, len(sizes)) if apart else estimate


def _raised(estimate: Estimate, nats: float, std_error: float) -> Estimate:
    """At what functions of the vector show. The upper end of the interval stays, or there is at least no room below it.

    How much each example adds to that is not known: all get the same.
    """
    more = nats - estimate.nats
    return dataclasses.replace(
        estimate,
        nats=nats,
        std_error=max(estimate.std_error, std_error),
        bias=min(0.0, estimate.bias + more) if math.isfinite(estimate.bias) else estimate.bias,
        pointwise=None if estimate.pointwise is None else estimate.pointwise + more,
        choice="ross: neighbours, in functions of the vector that were chosen on other examples",
    )


def _up_to_entropy(estimate: Estimate, classes: int) -> Estimate:
    """Classes that are apart: I is H(Y). The neighbour formula is above it, the more so the smaller the classes.

    The entropy of these labels is too low by about (C - 1) / 2n for labels drawn at random (Miller 1955).
    """
    if estimate.pointwise is None or not estimate.nats > 0:
        return estimate
    return dataclasses.replace(
        estimate,
        nats=estimate.ceiling,
        pointwise=estimate.pointwise * (estimate.ceiling / estimate.nats),
        bias=-(classes - 1) / (2 * estimate.n) if math.isfinite(estimate.bias) else estimate.bias,
        # Equal frequencies have no error of the first order; this is that of the second.
        std_error=math.hypot(estimate.std_error, math.sqrt((classes - 1) / 2) / estimate.n),
    )


def _scaled_for_labels(x: Tensor, how: str) -> Tensor:
    if how == "ranks":
        return as_ranks(x)
    return unit_columns(x) if how == "columns" else x


def _without_copies(estimate: Estimate, keep: Tensor) -> Estimate:
    copies = cautions.copies(int((~keep).sum()), len(keep))
    return dataclasses.replace(estimate, warnings=(copies, *estimate.warnings))


def two_vectors(x: Tensor, y: Tensor, options: Options) -> Estimate:
    """Vectors (n, p) and (n, q)."""
    estimator = options.estimator
    _check_fits(options, OF_VECTORS, "integer labels, got floating targets")
    if estimator in NEURAL:
        return neural_bound(x, y, bound=estimator)
    keep = first_copies(x, y) if options.copies else None
    if keep is not None and int(keep.sum()) > options.k:
        return _without_copies(two_vectors(x[keep], y[keep], options), keep)
    n, k = len(x), options.k
    warnings = [*cautions.few_examples(n, k), *cautions.columns(x, "x"), *cautions.columns(y, "y")]
    if estimator != "gaussian" and options.ranks:
        x, y = (without_redundant(log_ratios(block)) for block in (x, y))
    atoms = Atoms.of(x, y, k)
    if options.auto:
        found = _of_atoms(x, y, atoms, options, warnings)
        if found is not None:
            return found
    elif estimator != "gao":
        warnings += cautions.repeats(atoms, estimator)
    if estimator == "gaussian":
        nats = gaussian(x, y)
        error = gaussian_std_error(x, y) if math.isfinite(nats) else math.nan
        estimate = Estimate(nats, error, estimator, n, 0, "", math.inf)
        return _finish(estimate, n, lambda order: gaussian(x, y[order.to(y.device)]), options, warnings)
    if options.auto and not atoms.constant and (atoms.copied or repeats_in_columns(x, y)):
        x, y = (block.to(x.device) for block in without_ties(varying(x), varying(y)))
    width = x.shape[1] + y.shape[1]
    fits = n <= _MOST_CALIBRATED and width <= _WIDEST_CALIBRATED
    if estimator == "calibrated" or (options.auto and fits):
        return _calibrated(x, y, options, warnings)
    if not options.auto:
        return _by_formula(estimator, x, y, options, warnings)
    many = f"{_MOST_CALIBRATED} examples" if n > _MOST_CALIBRATED else f"{_WIDEST_CALIBRATED} columns"
    found = _by_formula("ksg1", x, y, options, warnings)
    return dataclasses.replace(found, choice=f"ksg1: neighbours, for two vectors of more than {many}")


def _by_formula(name: str, x: Tensor, y: Tensor, options: Options, warnings: list[Caution]) -> Estimate:
    n, k, norm = len(x), options.k, options.norm
    how = options.standardize
    if options.ranks:
        x, y, how = as_ranks(x), as_ranks(y), "block"
    found = of_vectors(name, x, y, k, norm, how)
    warnings = [*warnings, *cautions.reach(found.distances, None, k, norm, x.shape[1] + y.shape[1])]
    estimate = Estimate(found.nats, math.nan, name, n, k, norm, math.inf, pointwise=found.pointwise)
    return _by_neighbours(found, estimate, options, warnings, n, None)


def _of_atoms(
    x: Tensor, y: Tensor, atoms: Atoms, options: Options, warnings: list[Caution]
) -> Estimate | None:
    """Floats that repeat so often that densities do not describe them; None where they do not."""
    if atoms.constant:
        return None
    if atoms.counted:
        why = f"plug-in: counts; the {len(atoms.sizes)} pairs of values repeat like labels"
        found = two_labels(atoms.x, atoms.y, dataclasses.replace(options, estimator="plug-in"))
        return dataclasses.replace(found, choice=why, warnings=(*warnings, *found.warnings))
    for name, other, other_name, classes, sizes in (
        ("y", x, "x", atoms.y, atoms.y_sizes),
        ("x", y, "y", atoms.x, atoms.x_sizes),
    ):
        if int(sizes.min()) >= cautions.FEW_EXAMPLES:
            why = f"ross: neighbours; the {len(sizes)} values of {name} repeat like labels"
            found = vector_and_labels(
                other, classes, dataclasses.replace(options, estimator="ross"), other_name
            )
            return dataclasses.replace(found, choice=why)
    if not atoms.heavy:
        return None
    found = _by_formula("gao", x, y, options, warnings)
    return dataclasses.replace(found, choice="gao: neighbours; most examples are at values that repeat")


def _calibrated(x: Tensor, y: Tensor, options: Options, warnings: list[Caution]) -> Estimate:
    found = calibrated_information(x.cpu(), y.cpu(), options.k, options.std_error)
    why = "neighbours alone" if found.model == "none" else f"{found.model} fits held-out examples best"
    error = found.error
    if found.model == "none" and is_unresolved(found.nats, error.bias, len(x), options.k):
        error = dataclasses.replace(error, bias=-math.inf)
    estimate = Estimate(
        found.nats,
        method="calibrated",
        n=len(x),
        k=options.k,
        norm="euclidean",
        ceiling=math.inf,
        choice=f"calibrated: {why}" if options.auto else "",
        **dataclasses.asdict(error),
    )
    if found.unexplained > _UNEXPLAINED and error.bias > -math.inf:
        warnings = [*warnings, cautions.unexplained(found.clear, x.shape[1] + y.shape[1])]
    elif found.missed > _UNEXPLAINED and error.bias > -math.inf:
        warnings = [*warnings, cautions.missed(found.missed, "that no model explains")]
    if found.left_out:
        warnings = [*warnings, cautions.reduced(found.left_out, x.shape[1] + y.shape[1], len(x))]
    if not options.permutations:
        return _finish(estimate, len(x), None, options, warnings)
    neighbours = of_vectors("ksg1", as_ranks(x), as_ranks(y), options.k, options.norm, "block")
    return _finish(estimate, len(x), neighbours.shuffled, options, warnings, neighbours.nats)


def two_labels(x: Tensor, y: Tensor, options: Options) -> Estimate:
    """Labels (n,) and (n,)."""
    _check_fits(options, OF_TABLES, "a vector, got two sets of labels")
    estimator, choice = options.estimator, ""
    n, alone = len(x), alone_in_cell(x, y)
    sparse = is_sparse(alone, n)
    warnings = cautions.sparse_table(alone, n) if sparse else []
    if options.auto:
        estimator = "adjusted" if sparse else "plug-in"
        why = "few examples share a pair of labels" if sparse else "for two sets of labels"
        choice = f"{estimator}: counts, {why}"
    adjusted = adjusted_information(x, y, options.std_error) if sparse or estimator == "adjusted" else None
    if estimator == "adjusted" and adjusted is not None:
        nats, error, ceiling = adjusted.nats, adjusted.error, adjusted.ceiling
    else:
        nats, error = plug_in(x, y), ErrorBar(plug_in_std_error(x, y), 0.0, math.inf)
        ceiling = min(corrected_entropy(x), corrected_entropy(y))
        if adjusted is not None:
            # The plug-in correction knows only labels and pairs that occur. The adjusted value shows its bias.
            noise = max(error.std_error, adjusted.error.std_error)
            error = ErrorBar(noise, nats - adjusted.nats, adjusted.error.freedom)
    estimate = Estimate(
        nats, method=estimator, n=n, k=0, norm="", ceiling=ceiling, choice=choice, **dataclasses.asdict(error)
    )

    def shuffled(order: Tensor) -> float:
        return raw_information(x, y[order.to(y.device)])

    return _finish(estimate, n, shuffled, options, warnings, raw_information(x, y))


def _by_neighbours(
    found: Neighbours,
    estimate: Estimate,
    options: Options,
    warnings: list[Caution],
    n: int,
    classes: Tensor | None,
    shown: tuple[float, float] | None = None,
) -> Estimate:
    """Add the error bar that parts of the sample show. `shown`: what functions show beyond that, and its error."""
    bar = ErrorBar()
    if options.std_error:
        bar = subsampling_error_bar(found.of_part, found.nats, n, options.k, classes, found.of_parts)
    if classes is None and is_unresolved(found.nats, bar.bias, n, options.k):
        bar = dataclasses.replace(bar, bias=-math.inf)
    estimate = dataclasses.replace(estimate, **dataclasses.asdict(bar))
    if shown:
        estimate = _raised(estimate, *shown)
    return _finish(estimate, n, found.shuffled, options, warnings, found.nats)


def _finish(
    estimate: Estimate,
    n: int,
    shuffled: Callable[[Tensor], float] | None,
    options: Options,
    warnings: list[Caution],
    tested: float | None = None,
) -> Estimate:
    """Add the p-value (of `tested`, where that is not the value itself) and the cautions."""
    p = math.nan
    if options.permutations and shuffled is not None:
        null = permutation_null(shuffled, n, options.permutations, on_permutation=options.on_permutation)
        p = p_value(estimate.nats if tested is None else tested, null)
    if estimate.bias == -math.inf:
        what = "ranks" if estimate.method == "calibrated" else "distances"
        warnings = [*warnings, cautions.unresolved(estimate.nats, estimate.n, what)]
    warnings = [*warnings, *cautions.noise(estimate.interval)]
    return dataclasses.replace(estimate, warnings=tuple(warnings), p_value=p)


def _check_fits(options: Options, fitting: tuple[str, ...], need: str) -> None:
    estimator = options.estimator
    if options.auto or estimator in fitting:
        return
    raise ValueError(
        f"estimator {estimator!r} needs {'two sets of labels, got a vector' if estimator in OF_TABLES else need}"
    )
