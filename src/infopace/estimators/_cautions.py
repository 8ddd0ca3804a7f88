"""What can be wrong with an estimate, found in the data themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace.estimators._atoms import Atoms
from infopace.estimators._blocks import dominant_column
from infopace.estimators._error_bar import fewest
from infopace.estimators._estimate import Caution
from infopace.estimators._inputs import as_classes
from infopace.estimators._neighbour_search._distances import Distances

# Separable outputs of 1000 classes, one example each, measure 0.57 of 9.17 bits. From about 20 examples a class on
# what is missing is within the sampling noise (measured for this project).
FEW_EXAMPLES = 20
# Distance to the k-th neighbour as a share of the mean distance. Beyond it more than about a fifth of the information
# is lost: studies/neighbour_reach/run.py, n = 1000. Classes allow a larger share than vectors.
_REACH_LABELS, _REACH_VECTORS = 0.7, 0.3
# Share of the squared distances from which on one column decides.
_DOMINANT = 0.99
# Examples on which that share is measured.
_MEASURED = 200


def noise(interval: tuple[float, float]) -> list[Caution]:
    """Is 0 in the interval?"""
    low, high = interval
    if low < 0 < high:
        sentence = f"0 is in the 95 % interval, {low:.2g} to {high:.2g} nats: no information is shown"
        return [Caution("inside-noise", sentence)]
    return []


def left_out(alone: int, of: str = "") -> Caution:
    """Some examples could not be used."""
    if alone == 1:
        return Caution("left-out", f"1 example is alone in its class{of} and was left out")
    return Caution("left-out", f"{alone} examples are alone in their class{of} and were left out")


def missing_values(dropped: int, of: int) -> Caution:
    """Some examples lack a value."""
    return Caution("missing", f"{dropped} of {of} examples have a missing value and were left out")


def many_labels(sizes: Tensor, name: str, k: int) -> list[Caution]:
    """Are these labels quantities? Most of the classes have fewer than k neighbours."""
    if 2 * int((sizes <= k).sum()) <= len(sizes):
        return []
    sentence = f"{name} has {len(sizes)} different labels in {int(sizes.sum())} examples"
    return [Caution("many-labels", f"{sentence}: where they are quantities, give them as floats")]


def class_sizes(sizes: Tensor, alone: int, apart: bool = False) -> list[Caution]:
    """Has every class enough examples? Those that are apart need only a few."""
    found = []
    if alone:
        found.append(left_out(alone))
    if (least := int(sizes.min())) < FEW_EXAMPLES and not apart:
        found.append(
            Caution(
                "few-examples",
                f"the smallest class has {least} example{'s' if least > 1 else ''}, under {FEW_EXAMPLES}: the value is "
                "too low, or too high where classes are nearly apart; take more examples or the decoder bound",
            )
        )
    return found


def copies(left_out: int, of: int) -> Caution:
    """Examples occur several times."""
    sentence = (
        f"{left_out} of {of} examples are copies of others and were left out: copies look like dependence"
    )
    return Caution("copied", sentence)


def dominated(x: Tensor, name: str) -> list[Caution]:
    """Does one column decide who is a neighbour?"""
    column = dominant_column(x, _DOMINANT)
    if column is None:
        return []
    sentence = (
        f"column {column} of {x.shape[1]} carries more than {100 * _DOMINANT:.0f} % of the squared distances in {name},"
        ' and neighbours see little else; standardize="columns" or "ranks" lets every column count'
    )
    return [Caution("dominated", sentence)]


def unexplained(nats: float, width: int) -> Caution:
    """Neighbours find dependence that no model explains."""
    return Caution(
        "beyond-reach",
        f"neighbours find {nats:.2g} nats that no model explains, and in {width} columns they find only a part: the "
        "value may be far too low; take more examples or fewer columns",
    )


def missed(nats: float, what: str) -> Caution:
    """Functions of the columns show more than the estimate."""
    return Caution(
        "beyond-reach",
        f"functions of the columns, chosen on other examples, show {nats:.2g} nats {what}: the value is too low; "
        "take more examples or fewer columns",
    )


def raised(nats: float, found: float) -> Caution:
    """Functions of the columns show more than neighbours in all columns."""
    return Caution(
        "beyond-reach",
        f"functions of the columns, chosen on other examples, show {nats:.2g} nats where neighbours in all columns "
        f"find {found:.2g}: the value is theirs, and may still be too low; take more examples or fewer columns",
    )


def reduced(left_out: int, width: int, n: int) -> Caution:
    """More columns than the examples can separate."""
    return Caution(
        "beyond-reach",
        f"{n} examples are too few for {width} columns: {left_out} principal components were left out, and the "
        "value may be too low; take more examples or fewer columns",
    )


def few_examples(n: int, k: int) -> list[Caution]:
    """Are there enough examples for an error bar between two vectors?"""
    if n >= fewest(k):
        return []
    return [
        Caution(
            "few-examples",
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
    """Are all columns of the block constant, or most of them?"""
    still = int((values == values[:1]).all(0).sum())
    width = values.shape[1]
    if still == width:
        return [Caution("constant", f"{name} is constant: it carries no information")]
    if 2 * still > width:
        return [Caution("dead-columns", f"{still} of {width} columns of {name} are constant (dead units)")]
    return []


def repeats(atoms: Atoms, estimator: str) -> list[Caution]:
    """Do values repeat, for an estimator that needs values without repeats?"""
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
    """Too few examples share a pair of labels for a table of counts."""
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
    """Are neighbours near? In high dimension all examples are about equally far, and neighbours show nothing."""
    if not blocks:
        return []
    n = blocks[0].n
    measured = min(_MEASURED, n)
    far = blocks[0].rows(0, measured)[0]
    for block in blocks[1:]:
        far = torch.maximum(far, block.rows(0, measured)[0])
    if norm == "euclidean":
        far = far.sqrt()
    near = far.clone()
    row = torch.arange(measured, device=near.device)
    near[row, row] = math.inf
    if classes is not None:
        near[classes[:measured, None] != classes[None, :]] = math.inf
        k = min(k, int(as_classes(classes)[1].max()) - 1)
    radius = near.topk(k, largest=False).values[:, -1]
    radius = radius[radius.isfinite()]
    mean = float(far.mean())
    share = float(radius.mean()) / mean if mean > 0 and len(radius) else 0.0
    if share > (_REACH_VECTORS if classes is None else _REACH_LABELS):
        return [
            Caution(
                "beyond-reach",
                f"the {k}-th neighbour is {share:.2f} times as far as a random example: {n} examples are too few for "
                f"neighbours in {width} columns, and the value is too low; "
                "take more examples, fewer columns or a bound",
            )
        ]
    return []
