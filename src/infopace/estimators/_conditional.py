"""Conditional mutual information by nearest neighbours: what x and y share beyond z."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from infopace._checks import check_choice
from infopace.estimators._cautions import left_out, missing_values
from infopace.estimators._error_bar import ErrorBar, subsampling_error_bar
from infopace.estimators._estimate import Estimate
from infopace.estimators._gao import gao
from infopace.estimators._inputs import (
    DROP,
    as_classes,
    as_matrix,
    as_targets,
    check_neighbours,
    complete_examples,
    is_labels,
)
from infopace.estimators._neighbour_search._counts import kth_radius, tied_count, tied_neighbours
from infopace.estimators._neighbour_search._distances import NORMS, Distances, pairwise_distances, row_blocks
from infopace.estimators._neighbour_search._spaces import (
    STANDARDIZE,
    Joint,
    LastBlockKept,
    SameClass,
    standardized_distances,
)
from infopace.estimators._plug_in import entropy
from infopace.estimators._ross import ross


def conditional_mutual_information(
    x: Any,
    y: Any,
    z: Any,
    *,
    k: int = 3,
    norm: str = "euclidean",
    standardize: str = "block",
    std_error: bool = True,
    missing: str = "refuse",
) -> Estimate:
    """Conditional mutual information I(X;Y|Z), in nats: the information that x has about y beyond z.

    For vectors z,

        I = psi(k) - < psi(n_xz + 1) + psi(n_yz + 1) - psi(n_z + 1) >

    psi is the digamma function and <> the mean over examples. The distance of two examples is the largest of their x-,
    y- and z-distances. rho_i is the distance from example i to its k-th nearest neighbour. n_xz counts the other
    examples nearer than rho_i in x and z, n_yz those in y and z, n_z those in z. Examples that tie with the k-th
    neighbour are counted on both sides, as in `gao`. So copies and rounded values do not pass for information.

    For labels z it is the mean over the classes of I(X;Y) inside the class, weighted by size.

    Args:
        x: (n, ...) numbers or (n,) labels, as for `mutual_information`; but x and y cannot both be labels.
        y: The same.
        z: The same.
        k: Neighbours, 1..n-1. A class of z with at most k examples uses one less than it has.
        norm: Distance inside a block: "euclidean" or "chebyshev".
        standardize: Scale of the blocks, as for `mutual_information`; for labels z within each class.
        std_error: Whether to compute the error bar (about as much work again).
        missing: "refuse" raises where a value is missing; "drop" leaves out the examples that lack one in x, y or z.

    Raises:
        ValueError: a missing value that was not to be dropped, inf, an empty or mismatched input, k outside 1..n-1,
            an unknown word, labels for both x and y, labels z that never repeat, or vectors z with labels y of which
            a class has at most k examples.

    Sources: Frenzel & Pompe, Phys. Rev. Lett. 99, 204101 (2007); counts that include ties after Mesner &
        Shalizi, IEEE Trans. Inf. Theory 67(1), 2021.

    >>> steps = torch.arange(400.0, dtype=torch.float64)
    >>> x, y = torch.sin(steps), torch.sin(7 * steps)
    >>> round(conditional_mutual_information(x, x + y, y, std_error=False).nats, 2)
    2.05
    """
    check_choice("norm", norm, NORMS)
    check_choice("standardize", standardize, STANDARDIZE)
    (first, second, third), dropped = complete_examples({"x": x, "y": y, "z": z}, missing)
    names = ("x", "y")
    if is_labels(first) and not is_labels(second):
        # I(X;Y|Z) = I(Y;X|Z)
        first, second, names = second, first, ("y", "x")
    matrix = as_matrix(first, names[0], DROP)
    n = len(matrix)
    targets = as_targets(second, n, *names, remedy=DROP).to(matrix.device)
    given = as_targets(third, n, names[0], "z", DROP).to(matrix.device)
    k = check_neighbours(k, n)
    ceiling = math.inf if targets.is_floating_point() else entropy(targets)
    of = _given_vectors if given.is_floating_point() else _given_labels
    estimate = of(matrix, targets, given, k, norm, standardize, std_error, ceiling)
    if not dropped:
        return estimate
    return dataclasses.replace(estimate, warnings=(missing_values(dropped, dropped + n), *estimate.warnings))


def frenzel_pompe(x: Distances, y: Distances, z: Distances, k: int) -> float:
    """The formula of `conditional_mutual_information` for vectors z, from distances."""
    x, y, z = LastBlockKept(x), LastBlockKept(y), LastBlockKept(z)
    everything, xz, yz = Joint(x, y, z), Joint(x, z), Joint(y, z)
    terms = torch.empty(x.n, dtype=torch.float64, device=x.device)
    for start, stop in row_blocks(x.n):
        radius = kth_radius(everything, k, start, stop)
        neighbours = tied_neighbours(everything, radius, start, stop)
        n_xz, n_yz, n_z = (torch.digamma(tied_count(space, radius, start, stop)) for space in (xz, yz, z))
        terms[start:stop] = torch.digamma(neighbours) - n_xz - n_yz + n_z
    return float(terms.mean())


def _given_vectors(
    x: Tensor, y: Tensor, z: Tensor, k: int, norm: str, standardize: str, std_error: bool, ceiling: float
) -> Estimate:
    classes: Tensor | None = None
    if y.is_floating_point():
        dy = standardized_distances(y, norm, standardize)
    else:
        classes, sizes = as_classes(y)
        if int(sizes.min()) <= k:
            raise ValueError(
                f"every class of y needs more than k examples where z is floating, "
                f"got k = {k} and a class of {int(sizes.min())}"
            )
        dy = SameClass(classes)
    dx, dz = standardized_distances(x, norm, standardize), standardized_distances(z, norm, standardize)

    def part_value(part: Tensor) -> float:
        part = part.to(x.device)
        if classes is not None and int(as_classes(classes[part])[1].min()) <= k:
            return math.nan
        return frenzel_pompe(dx.subset(part), dy.subset(part), dz.subset(part), k)

    nats = frenzel_pompe(dx, dy, dz, k)
    bar = subsampling_error_bar(part_value, nats, len(x), k, classes) if std_error else ErrorBar()
    return Estimate(
        nats, method="frenzel-pompe", n=len(x), k=k, norm=norm, ceiling=ceiling, **dataclasses.asdict(bar)
    )


def _given_labels(
    x: Tensor, y: Tensor, z: Tensor, k: int, norm: str, standardize: str, std_error: bool, ceiling: float
) -> Estimate:
    classes, sizes = as_classes(z)
    alone = int((sizes == 1).sum())
    if alone == len(sizes):
        raise ValueError(f"labels z must repeat, got {len(z)} examples with {len(z)} different labels")
    # Distances inside a class are computed once. The error bar reads parts of them.
    members = [(classes == c).nonzero().squeeze(1) for c in range(len(sizes)) if int(sizes[c]) > 1]
    place = torch.empty_like(classes)
    for own in members:
        place[own] = torch.arange(len(own), device=x.device)
    if y.is_floating_point():
        blocks = [
            tuple(standardized_distances(block[own], norm, standardize) for block in (x, y))
            for own in members
        ]
    else:
        blocks = [(pairwise_distances(x[own], norm),) for own in members]

    def value(index: Tensor) -> float:
        total, used = 0.0, 0
        for own, block in zip(members, blocks, strict=True):
            kept = index[classes[index] == classes[own[0]]]
            few = min(k, len(kept) - 1)
            if few < 1:
                continue
            inside = [distances.subset(place[kept]) for distances in block]
            nats = gao(inside[0], inside[1], few) if len(inside) == 2 else ross(inside[0], y[kept], few)
            if math.isfinite(nats):
                total, used = total + len(kept) * nats, used + len(kept)
        return total / used if used else math.nan

    nats = value(torch.arange(len(x), device=x.device))
    bar = ErrorBar()
    if std_error:
        bar = subsampling_error_bar(lambda part: value(part.to(x.device)), nats, len(x), k, classes)
    warnings = (left_out(alone, " of z"),) if alone else ()
    method = "gao" if y.is_floating_point() else "ross"
    return Estimate(
        nats,
        method=method,
        n=len(x) - alone,
        k=k,
        norm=norm,
        ceiling=ceiling,
        warnings=warnings,
        **dataclasses.asdict(bar),
    )
