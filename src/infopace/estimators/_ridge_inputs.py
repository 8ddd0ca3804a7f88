"""What layer outputs and targets are to a ridge regression: rows, whose they are, and shares of classes or numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from infopace._typing import Bool, Float, Int
from infopace.estimators._estimate import Caution
from infopace.estimators._inputs import (
    as_classes,
    as_labels,
    as_matrix,
    as_numbers,
    as_tensor,
    check_same_number,
)

KINDS = ("classes", "positions", "multi-label", "soft", "regression")
# Leaving one example out shows nothing about fewer.
_FEWEST = 4
# Rows that are fitted at most, in few columns and in many; cells of rows and classes; and operations for the products
# of all rows. Of many positions an example some are enough.
_MOST_ROWS, _MOST_WIDE_ROWS, _MANY_COLUMNS, _MOST_CELLS, _MOST_PRODUCTS = 2**13, 2**11, 2**10, 2**22, 2**36
# Soft targets of bfloat16, which keeps 8 bits, sum to 1 within 2^-7.
_SUM_TOLERANCE = 2.0**-7
# Rounding of the mean is all that a column varies by whose variance is below this share of its squared mean.
_ROUNDING = 1e-28


@dataclass(frozen=True)
class Case:
    """N rows of a layer's outputs and their targets.

    Attributes:
        kind: One of `KINDS`.
        x: The rows.
        example: Whose each row is, in ascending order; None: each row is an example.
        labels: Shares of C classes in each of G sets of classes; None: the targets are quantities.
        quantities: G of each row.
        product: Whether sets and quantities are summed. Else they are averaged.
        ceiling: The entropy of the targets; inf for quantities.
        cautions: What was left out.
    """

    kind: str
    x: Float[Tensor, "N d"]
    example: Int[Tensor, " N"] | None
    labels: Float[Tensor, "N G C"] | None
    quantities: Float[Tensor, "N G"] | None
    product: bool
    ceiling: float
    cautions: tuple[Caution, ...] = ()


def read(x: Any, targets: Any, mask: Any, kind: str, ignored: int) -> Case:
    """The kind, found from dtypes and shapes if it is "auto", and the rows with their targets."""
    outputs = as_tensor(x, "x")
    if outputs.ndim == 0:
        raise ValueError(f"x must have one row for each example, got a scalar {outputs.item()}")
    values = as_tensor(targets, "targets")
    if values.ndim == 0 or values.numel() == 0:
        raise ValueError(f"targets must have one entry or more an example, got shape {tuple(values.shape)}")
    if values.is_complex():
        raise ValueError(f"targets must be real, got dtype {_dtype(values)}")
    check_same_number(len(outputs), len(values), "x", "targets")
    if len(outputs) < _FEWEST:
        raise ValueError(f"ridge information takes at least {_FEWEST} examples, got {len(outputs)}")
    kind = _detect(outputs, values) if kind == "auto" else kind
    if kind == "positions":
        return _positions(outputs, as_numbers(targets, "targets"), mask, ignored)
    if mask is not None:
        raise ValueError(f"a mask is for positions, got one with targets of kind {kind!r}")
    rows = as_matrix(outputs, "x")
    values = values.to(rows.device)
    if kind == "classes":
        return _classes(rows, _as_whole(values))
    if kind == "multi-label":
        return _multi_label(rows, values)
    return _soft(rows, values) if kind == "soft" else _regression(rows, values)


def _detect(x: Tensor, t: Tensor) -> str:
    several = t.numel() > len(t)
    if not t.is_floating_point():
        if not several:
            return "classes"
        binary = t.ndim == 2 and _is_binary(t)
        return (
            "multi-label"
            if binary and (t.dtype == torch.bool or vectors_of_positions(x, t) is None)
            else "positions"
        )
    if _is_binary(t) and not several:
        return "classes"
    if t.ndim == 2 and several and _are_shares(t):
        return "soft"
    return "multi-label" if t.ndim == 2 and _is_binary(t) else "regression"


def _as_whole(t: Tensor) -> Tensor:
    if t.is_floating_point() and _is_binary(t):
        t = t.long()
    return as_labels(t, "targets")


def _classes(x: Tensor, t: Tensor) -> Case:
    labels, sizes = as_classes(t)
    if len(sizes) < 2:
        raise ValueError(f"targets must have at least 2 classes, got only one in {len(t)} examples")
    return Case(
        "classes", x, None, _one_hot(labels, len(sizes)), None, False, _entropy(sizes.double() / len(t))
    )


def _positions(x: Tensor, t: Tensor, mask: Any, ignored: int) -> Case:
    if t.is_floating_point():
        raise ValueError(f"targets of positions must be whole numbers, got dtype {_dtype(t)}")
    rows = vectors_of_positions(x, t)
    if rows is None:
        raise ValueError(
            f"x must have a vector for each position, (n, .., d) or (n, d, ..), for targets {tuple(t.shape)}, got "
            f"shape {tuple(x.shape)}"
        )
    n = len(t)
    counted = (t != ignored).to(x.device).reshape(n, -1)
    if mask is not None:
        m = as_numbers(mask, "mask").to(x.device)
        if m.is_floating_point() or m.shape != t.shape:
            raise ValueError(
                f"mask must be True or False for each position {tuple(t.shape)}, got {_dtype(m)} of shape "
                f"{tuple(m.shape)}"
            )
        counted &= m.bool().reshape(n, -1)
    labels = t.to(x.device).long().reshape(n, -1)
    found = int(torch.unique(labels[counted]).numel())
    if found < 2:
        raise ValueError(f"targets must have at least 2 classes, got {found} at the positions that count")
    counted = _some(counted, found, rows.shape[-1])
    example, place = counted.nonzero().T
    some = torch.unique(example)
    if len(some) < _FEWEST:
        raise ValueError(
            f"ridge information takes at least {_FEWEST} examples with a position that counts, got {len(some)}"
        )
    number, sizes = as_classes(labels[example, place])
    if len(sizes) < 2:
        raise ValueError(f"targets must have at least 2 classes, got only one in {len(number)} positions")
    hot = _one_hot(number, len(sizes))
    weight = 1 / torch.bincount(example, minlength=n).double()[example] / len(some)
    surprise = -(sizes.double() / len(number)).log()[number]
    kept = as_matrix(rows.reshape(n, -1, rows.shape[-1])[example, place], "x")
    cautions = () if len(some) == n else (_without_position(n - len(some)),)
    return Case("positions", kept, example, hot, None, False, float((surprise * weight).sum()), cautions)


def _some(counted: Bool[Tensor, "n P"], classes: int, width: int) -> Bool[Tensor, "n P"]:
    """Some of the positions that count, if there are too many: as many of each example, always the same."""
    rows = _MOST_ROWS
    if width > _MANY_COLUMNS:
        rows = min(_MOST_WIDE_ROWS, math.isqrt(_MOST_PRODUCTS // width))
    most = max(1, min(rows, _MOST_CELLS // classes) // len(counted))
    if int(counted.sum()) <= most * len(counted):
        return counted
    order = torch.rand(counted.shape[1], generator=torch.Generator().manual_seed(0)).to(counted.device)
    first = (order + (~counted).float()).argsort(1)[:, :most]
    kept = torch.zeros_like(counted).scatter_(1, first, True)
    return kept & counted


def vectors_of_positions(x: Tensor, t: Tensor) -> Tensor | None:
    """The outputs as (n, .., d) with a vector for each target; None: they do not have the positions of the targets."""
    if x.shape == t.shape:
        return x[..., None]
    if x.ndim != t.ndim + 1:
        return None
    last, first = x.shape[:-1] == t.shape, x.shape[:1] + x.shape[2:] == t.shape
    # Where both fit: sequences have the vectors last, images have them second.
    if first and not (last and t.ndim == 2):
        return x.movedim(1, -1)
    return x if last else None


def _multi_label(x: Tensor, t: Tensor) -> Case:
    if not _is_binary(t):
        raise ValueError(f"targets of multi-label must be 0 or 1, got {float(t[(t != 0) & (t != 1)][0]):g}")
    yes = t.reshape(len(t), -1).double()
    varies = (yes != yes[:1]).any(0)
    if not bool(varies.any()):
        raise ValueError(
            f"targets must have a label that varies, got only constant ones in {len(t)} examples"
        )
    yes = yes[:, varies]
    rate = yes.mean(0)
    ceiling = _entropy(rate) + _entropy(1 - rate)
    still = int((~varies).sum())
    return replace(
        Case("multi-label", x, None, torch.stack([1 - yes, yes], 2), None, True, ceiling),
        cautions=_constant(still, len(varies)),
    )


def _soft(x: Tensor, t: Tensor) -> Case:
    if t.ndim != 2 or not _are_shares(t):
        raise ValueError(f"soft targets must be (n, C), non-negative, of sum 1, got shape {tuple(t.shape)}")
    shares = t.double() / t.double().sum(1, keepdim=True)
    shares = shares[:, (shares > 0).any(0)]
    ceiling = _entropy(shares.mean(0)) - _entropy(shares) / len(t)
    return Case("soft", x, None, shares[:, None, :], None, False, ceiling)


def _regression(x: Tensor, t: Tensor) -> Case:
    if not t.is_floating_point():
        raise ValueError(f"targets of regression must be floating, got dtype {_dtype(t)}")
    values = as_matrix(t, "targets").double()
    varies = values.var(0) > _ROUNDING * values.mean(0).square()
    if not bool(varies.any()):
        raise ValueError(f"targets must vary, got constant ones in {len(t)} examples")
    still = int((~varies).sum())
    return Case(
        "regression",
        x,
        None,
        None,
        values[:, varies],
        t.ndim <= 2,
        float("inf"),
        _constant(still, len(varies)),
    )


def _one_hot(labels: Tensor, classes: int) -> Float[Tensor, "N 1 C"]:
    return torch.nn.functional.one_hot(labels, classes).double()[:, None, :]


def _entropy(shares: Tensor) -> float:
    return float(-torch.xlogy(shares, shares).sum())


def _is_binary(t: Tensor) -> bool:
    return bool(((t == 0) | (t == 1)).all())


def _are_shares(t: Tensor) -> bool:
    sums = t.double().sum(-1)
    return t.shape[-1] > 1 and bool((t >= 0).all()) and bool(((sums - 1).abs() < _SUM_TOLERANCE).all())


def _constant(still: int, columns: int) -> tuple[Caution, ...]:
    if not still:
        return ()
    sentence = f"{still} of {columns} columns of the targets are constant: left out"
    return (Caution("dead-columns", sentence),)


def _without_position(count: int) -> Caution:
    which = "s have" if count > 1 else " has"
    were = "were" if count > 1 else "was"
    return Caution("left-out", f"{count} example{which} no position that counts and {were} left out")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
