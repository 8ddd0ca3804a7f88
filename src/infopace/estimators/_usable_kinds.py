"""What scores and targets are: a distribution over classes, or a quantity, at one position of an example or at many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from infopace._checks import check_choice, whole
from infopace._typing import Bool, Float
from infopace.estimators._decoder import both_logits
from infopace.estimators._inputs import as_numbers, as_tensor, check_same_number

KINDS = ("classes", "tokens", "dense", "multi-label", "soft", "regression")
# The target that torch's cross-entropy ignores, and that Hugging Face writes where nothing is to be predicted.
IGNORED = -100
# Soft targets of bfloat16, which keeps 8 bits, sum to 1 within 2^-7.
_SUM_TOLERANCE = 2.0**-7


@dataclass(frozen=True)
class Classified:
    """Distributions over C classes at P positions of each of n examples.

    Attributes:
        scores: (n P, C) logits or probabilities, the positions of an example together.
        labels: (n P,) class numbers on the CPU, or (n P, C) soft targets.
        counted: (n, P) the positions that count, on the CPU.
        product: Whether an example's positions are labels of their own, each with its frequency, that are predicted
            together. Their terms are summed. Else they are alike and are averaged.
        single: Whether an example has one label, by which halves can be stratified.
    """

    scores: Float[Tensor, "rows C"]
    labels: Tensor
    counted: Bool[Tensor, "n P"]
    product: bool = False
    single: bool = False


@dataclass(frozen=True)
class Quantities:
    """Predicted quantities: P columns of their own (product), or P positions that are alike."""

    predictions: Float[Tensor, "n P"]
    targets: Float[Tensor, "n P"]
    counted: Bool[Tensor, "n P"]
    product: bool


def read(
    scores: Any, targets: Any, mask: Any, kind: str, ignored: int
) -> tuple[str, Classified | Quantities]:
    """The kind, found from dtypes and shapes if it is "auto", and scores and targets in the form of that kind."""
    check_choice("kind", kind, ("auto", *KINDS))
    ignored = whole("ignore_index", ignored)
    s, t = as_tensor(scores, "scores"), as_numbers(targets, "targets")
    for name, tensor in (("scores", s), ("targets", t)):
        if tensor.ndim == 0 or tensor.numel() == 0:
            raise ValueError(
                f"{name} must have one entry or more an example, got shape {tuple(tensor.shape)}"
            )
        if tensor.is_complex():
            raise ValueError(f"{name} must be real, got dtype {_dtype(tensor)}")
    if not s.is_floating_point():
        raise ValueError(f"scores must be floating, got dtype {_dtype(s)}")
    check_same_number(len(s), len(t), "scores", "targets")
    s, t = _without_ones(s, t)
    counts = None if mask is None else _as_mask(mask, len(t))
    if kind == "auto":
        kind = _detect(s, t, counts, ignored)
    return kind, _BUILD[kind](s, t, counts, ignored)


def _without_ones(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """One target an example as (n,), and its scores as (n,) or (n, C)."""
    n = len(t)
    if t.numel() == n:
        t = t.reshape(n)
        if s.numel() == n:
            s = s.reshape(n)
        elif s.numel() == n * max(s.shape[1:]):
            s = s.reshape(n, -1)
    return s, t


def _as_mask(mask: Any, n: int) -> Tensor:
    m = as_numbers(mask, "mask").cpu()
    wanted = "mask must be True or False for each position, got"
    if m.is_floating_point() or m.is_complex():
        raise ValueError(f"{wanted} dtype {_dtype(m)}")
    if bool(((m != 0) & (m != 1)).any()):
        raise ValueError(f"{wanted} {_dtype(m)} values beyond 0 and 1")
    check_same_number(n, len(m) if m.ndim else 0, "targets", "mask")
    return m.bool().reshape(n) if m.numel() == n else m.bool()


def _spread(mask: Tensor | None, shape: torch.Size) -> Tensor:
    """The mask of all positions; one of fewer dimensions holds for all that follow."""
    if mask is None:
        return torch.ones(shape, dtype=torch.bool)
    if mask.shape != shape[: mask.ndim]:
        raise ValueError(f"mask must fit the positions {tuple(shape)}, got shape {tuple(mask.shape)}")
    return mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)).expand(shape)


def _detect(s: Tensor, t: Tensor, mask: Tensor | None, ignored: int) -> str:
    if s.shape == t.shape and (t.ndim > 1 or t.is_floating_point()):
        if _soft_axes(t, mask):
            return "soft"
        if _is_binary(t, _counted(t, mask, ignored)):
            return "multi-label" if t.ndim <= 2 else "dense"
        if t.is_floating_point():
            return "regression"
        raise ValueError(
            f"whole-number targets of the scores' shape {tuple(t.shape)} must be 0 or 1, got others; give quantities "
            "as floats"
        )
    if t.is_floating_point():
        raise ValueError(
            f"floating targets must have the scores' shape {tuple(s.shape)}, got {tuple(t.shape)}; class labels are "
            "whole numbers"
        )
    if t.ndim == 1 and (s.ndim == 1 or _fits(s, t, "classes")):
        return "classes"
    fitting = [kind for kind in ("tokens", "dense") if _fits(s, t, kind)]
    if len(fitting) == 2:
        raise ValueError(
            f"scores {tuple(s.shape)} and targets {tuple(t.shape)} are tokens or dense; name kind='tokens' (classes "
            "last) or kind='dense' (classes second)"
        )
    if not fitting:
        raise _no_fit(s, t, "(n, C), (n, T, C) or (n, C, d1, ..)")
    return fitting[0]


_AXIS = {"classes": -1, "tokens": -1, "dense": 1}


def _fits(s: Tensor, t: Tensor, kind: str) -> bool:
    """Whether scores have an axis of classes, where the kind has it, beside the dimensions of the targets."""
    if s.ndim != t.ndim + 1 or (kind == "classes" and t.ndim > 1):
        return False
    return s.movedim(_AXIS[kind], -1).shape[:-1] == t.shape


def _classified(kind: str) -> Callable[[Tensor, Tensor, Tensor | None, int], Classified]:
    def build(s: Tensor, t: Tensor, mask: Tensor | None, ignored: int) -> Classified:
        one_logit = s.shape == t.shape and (kind != "classes" or t.ndim == 1)
        if not (one_logit or _fits(s, t, kind)):
            raise _no_fit(s, t, {"classes": "(n, C)", "tokens": "(n, T, C)", "dense": "(n, C, d1, ..)"}[kind])
        counted = _counted(t, mask, ignored)
        if t.is_floating_point() and not (one_logit and _is_binary(t, counted)):
            raise ValueError(f"targets of {kind} must be whole numbers, got dtype {_dtype(t)}")
        rows = s.reshape(-1, 1) if one_logit else s.movedim(_AXIS[kind], -1).reshape(t.numel(), -1)
        if rows.shape[1] == 1:
            rows = both_logits(rows)
        labels = _labels(t, counted, rows.shape[1])
        return Classified(rows, labels, counted.reshape(len(t), -1), single=t.ndim == 1)

    return build


def _labels(t: Tensor, counted: Tensor, classes: int) -> Tensor:
    """(n P,) class numbers on the CPU, 0 where a position does not count."""
    labels = torch.where(counted, t.cpu(), 0).long()
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(f"targets must be in 0..C-1 for scores of C = {classes} classes, got {wrong}")
    return labels.reshape(-1)


def _multi_label(s: Tensor, t: Tensor, mask: Tensor | None, ignored: int) -> Classified:
    if s.shape != t.shape:
        raise _no_fit(s, t, "of the targets' shape")
    counted = _counted(t, mask, ignored)
    if not _is_binary(t, counted):
        raise ValueError(f"targets of multi-label must be 0 or 1, got {_other(t, counted)}")
    labels = _labels(t, counted, 2)
    return Classified(both_logits(s.reshape(-1, 1)), labels, counted.reshape(len(t), -1), product=True)


def _soft(s: Tensor, t: Tensor, mask: Tensor | None, ignored: int) -> Classified:
    if s.shape != t.shape or t.ndim < 2:
        raise _no_fit(s, t, "(n, C) as the targets are")
    axes = _soft_axes(t, mask)
    if len(axes) != 1:
        where = "in the axis of classes" if not axes else "in one axis, got axes 1 and -1"
        raise ValueError(f"soft targets must be non-negative and sum to 1 {where}")
    rows, shares = (values.movedim(axes[0], -1).reshape(-1, t.shape[axes[0]]) for values in (s, t))
    counted = _spread(mask, t.movedim(axes[0], -1).shape[:-1]).reshape(len(t), -1)
    shares = shares.double()
    if bool((shares.amax(1).cpu() == 1)[counted.reshape(-1)].all()):
        # One-hot targets are class labels.
        return Classified(rows, shares.argmax(1).cpu(), counted, single=counted.shape[1] == 1)
    return Classified(rows, shares / shares.sum(1, keepdim=True).clamp(min=0.5), counted)


def _regression(s: Tensor, t: Tensor, mask: Tensor | None, ignored: int) -> Quantities:
    if s.shape != t.shape:
        raise _no_fit(s, t, "of the targets' shape")
    if not t.is_floating_point():
        raise ValueError(f"targets of regression must be floating, got dtype {_dtype(t)}")
    counted = _spread(mask, t.shape).reshape(len(t), -1)
    return Quantities(s.reshape(len(s), -1), t.reshape(len(t), -1).to(s.device), counted, t.ndim <= 2)


_BUILD: dict[str, Callable[[Tensor, Tensor, Tensor | None, int], Classified | Quantities]] = {
    **{kind: _classified(kind) for kind in _AXIS},
    "multi-label": _multi_label,
    "soft": _soft,
    "regression": _regression,
}


def _counted(t: Tensor, mask: Tensor | None, ignored: int) -> Tensor:
    counted = _spread(mask, t.shape)
    return counted if t.is_floating_point() else counted & (t.cpu() != ignored)


def _is_binary(t: Tensor, counted: Tensor) -> bool:
    return bool(((t == 0) | (t == 1)).cpu()[counted].all())


def _other(t: Tensor, counted: Tensor) -> float:
    return float(t.cpu()[counted & (t.cpu() != 0) & (t.cpu() != 1)][0])


def _soft_axes(t: Tensor, mask: Tensor | None) -> list[int]:
    """The axes, second or last, in which the targets that count are shares of 1."""
    axes = [axis for axis in ((1, -1) if t.ndim > 2 else (1,)) if t.ndim > 1 and t.shape[axis] > 1]
    if mask is not None:
        # A mask of positions says which axis is left for classes.
        axes = [axis for axis in axes if mask.shape == t.movedim(axis, -1).shape[:-1][: mask.ndim]] or axes
    return [axis for axis in axes if _are_shares(t.movedim(axis, -1), mask)]


def _are_shares(rows: Tensor, mask: Tensor | None) -> bool:
    if mask is not None and mask.shape == rows.shape[:-1][: mask.ndim]:
        rows = rows[mask.to(rows.device)]
    sums = rows.double().sum(-1)
    return len(rows) > 0 and bool((rows >= 0).all()) and bool(((sums - 1).abs() < _SUM_TOLERANCE).all())


def _no_fit(s: Tensor, t: Tensor, wanted: str) -> ValueError:
    return ValueError(f"scores must be {wanted} for targets {tuple(t.shape)}, got shape {tuple(s.shape)}")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
