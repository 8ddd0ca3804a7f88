"""What can be wrong with an estimate, found in the data themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace.estimators._atoms import Atoms
from infopace.estimators._error_bar import fewest
from infopace.estimators._estimate import Caution
from infopace.estimators._inputs import as_classes
from infopace.estimators._neighbour_search._distances import Distances

# Perfectly separable outputs of 1000 classes, one row each, measure 0.57 of 9.17 bits; from about 20 rows a
# class the shortfall is within the sampling noise (measured for this project).
FEW_ROWS = 20
# Distance to the k-th neighbour as a share of the mean distance, from which more than about a fifth of the
# information is lost: studies/neighbour_reach/run.py, n = 1000. A class is a coarser thing than a target.
_REACH_LABELS, _REACH_VECTORS = 0.7, 0.3
# Rows on which that share is looked at.
_LOOKED_AT = 200


def noise(interval: tuple[float, float]) -> list[Caution]:
    """Is the value more than its noise?"""
    low, high = interval
    if low < 0 < high:
        sentence = f"0 is in the 95 % interval, {low:.2g} to {high:.2g} nats: no information is shown"
        return [Caution("inside-noise", sentence)]
    return []


def left_out(alone: int, of: str = "") -> Caution:
    """Rows that could not be used."""
    return Caution("left-out", f"{alone} rows are alone in their class{of} and were left out")


def missing_values(dropped: int, of: int) -> Caution:
    """Examples that lack a value."""
    return Caution("missing", f"{dropped} of {of} examples have a missing value and were left out")


def many_labels(sizes: Tensor, name: str, k: int) -> list[Caution]:
    """Are these labels quantities in disguise? Most of the classes have not even k neighbours to offer."""
    if 2 * int((sizes <= k).sum()) <= len(sizes):
        return []
    sentence = f"{name} has {len(sizes)} different labels in {int(sizes.sum())} examples"
    return [Caution("many-labels", f"{sentence}: where they are quantities, give them as floats")]


def class_sizes(sizes: Tensor, alone: int) -> list[Caution]:
    """Are there rows enough in every class?"""
    found = []
    if alone:
        found.append(left_out(alone))
    if int(sizes.min()) < FEW_ROWS:
        found.append(
            Caution(
                "few-rows",
                f"the smallest class has {int(sizes.min())} rows, under {FEW_ROWS}: the value is too low; "
                "take more rows or the decoder bound",
            )
        )
    return found


def few_examples(n: int, k: int) -> list[Caution]:
    """Are there examples enough for an error bar between two vectors?"""
    if n >= fewest(k):
        return []
    return [
        Caution(
            "few-rows",
            f"{n} examples are too few for an error bar, which takes {fewest(k)} with k = {k}: "
            "the value may be far off either way; take more examples",
        )
    ]


def unresolved(nats: float, n: int, what: str) -> Caution:
    """The dependence is finer than n examples show."""
    return Caution(
        "beyond-reach",
        f"at least {nats:.3g} nats: the dependence is finer than the {what} of {n} examples can resolve, and there is "
        "no upper limit; take more examples, or estimator gaussian if the vectors are jointly normal",
    )


def columns(values: Tensor, name: str) -> list[Caution]:
    """Does the block move at all?"""
    still = int((values == values[:1]).all(0).sum())
    width = values.shape[1]
    if still == width:
        return [Caution("constant", f"{name} is constant: it carries no information")]
    if 2 * still > width:
        return [Caution("dead-columns", f"{still} of {width} columns of {name} are constant (dead units)")]
    return []


def repeats(atoms: Atoms, estimator: str) -> list[Caution]:
    """Do values repeat where the estimator wants none that do?"""
    if atoms.constant or not (atoms.copied or atoms.heavy):
        return []
    return [
        Caution(
            "repeated",
            f"x takes {len(atoms.x_sizes)} values and y {len(atoms.y_sizes)} in {len(atoms.x)} examples, and "
            f"{estimator} is for values that do not repeat: take estimator auto or gao",
        )
    ]


def sparse_table(alone: int, n: int) -> list[Caution]:
    """Are there examples enough for a table of counts?"""
    return [
        Caution(
            "sparse-table",
            f"{alone} of {n} examples are alone with their pair of labels: counts show little, "
            "and the value is no better than its interval; take more examples, merge labels, or give "
            "quantities as floats",
        )
    ]


def reach(
    blocks: tuple[Distances, ...], classes: Tensor | None, k: int, norm: str, width: int
) -> list[Caution]:
    """Are neighbours near? In high dimension all rows are about equally far, and neighbours show nothing."""
    if not blocks:
        return []
    n = blocks[0].n
    rows = min(_LOOKED_AT, n)
    far = blocks[0].rows(0, rows)[0]
    for block in blocks[1:]:
        far = torch.maximum(far, block.rows(0, rows)[0])
    if norm == "euclidean":
        far = far.sqrt()
    near = far.clone()
    row = torch.arange(rows, device=near.device)
    near[row, row] = math.inf
    if classes is not None:
        near[classes[:rows, None] != classes[None, :]] = math.inf
        k = min(k, int(as_classes(classes)[1].max()) - 1)
    radius = near.topk(k, largest=False).values[:, -1]
    radius = radius[radius.isfinite()]
    mean = float(far.mean())
    share = float(radius.mean()) / mean if mean > 0 and len(radius) else 0.0
    if share > (_REACH_VECTORS if classes is None else _REACH_LABELS):
        return [
            Caution(
                "beyond-reach",
                f"the {k}-th neighbour is {share:.2f} times as far as a row at random: width {width} is beyond the "
                f"reach of {n} rows and the value is too low; take more rows, fewer columns or a bound",
            )
        ]
    return []
