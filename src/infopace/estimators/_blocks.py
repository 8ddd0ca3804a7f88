"""Blocks before they are measured: copied examples and redundant columns left out, columns on one scale."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Bool, Float, Int
from infopace.estimators._dependence._scores import normal_scores, uniform_scores
from infopace.estimators._inputs import as_classes

# With fewer examples than this share as distinct values, values are more likely levels than copied examples.
_DISTINCT = 0.2
# A column whose rest after the columns before it is below this share of its norm is a combination of them.
_REDUNDANT = {torch.float64: 1e-9}
_REDUNDANT_NARROW = 1e-5
# Shares that sum to 1: rounding of their sums in float32, the least largest sum where one share was left out, and the
# least share, below which 1 less the others is only rounding.
_SUM_TOLERANCE, _NEARLY_ONE, _LEAST_SHARE = 1e-4, 0.99, 1e-6
# Above this width the search for combinations would cost more than the estimate.
_WIDEST = 1_000


def first_copies(x: Float[Tensor, "n p"], y: Tensor) -> Bool[Tensor, " n"] | None:
    """(n,) which examples to keep where the others are copies of them; None where there are no copied examples.

    Examples are copies, and not levels or rounded values, if equal x always go with equal y and the other way round
    (for labels y: if equal x have equal labels), and either all occur equally often, at least twice, or there are
    many different ones and the columns repeat only where the examples do.

    Args:
        x: (n, p) numbers.
        y: (n, q) numbers, or (n,) labels.
    """
    n = len(x)
    if len(torch.unique(x[:, 0])) == n:
        return None
    rows, sizes = _rows(x)
    if len(sizes) == n:
        return None
    others, other_sizes = as_classes(y) if y.ndim == 1 else _rows(y)
    pairs = as_classes(rows * len(other_sizes) + others)[1]
    labels = y.ndim == 1
    if len(pairs) != len(sizes) or (not labels and len(pairs) != len(other_sizes)):
        return None
    distinct = len(sizes)
    equally_often = int(sizes.min()) == int(sizes.max()) and distinct > 2 * (
        len(other_sizes) if labels else 1
    )
    columns = [*x.T, *(() if labels else y.T)]
    repeat_alone = any(1 < len(torch.unique(column)) < distinct for column in columns)
    many = distinct >= _DISTINCT * n and not (labels and x.shape[1] == 1) and not repeat_alone
    if not (many or (equally_often and distinct > n // 50 and not _is_grid(columns))):
        return None
    first = torch.full((distinct,), n, dtype=torch.long, device=x.device)
    first.scatter_reduce_(0, rows, torch.arange(n, device=x.device), "amin")
    keep = torch.zeros(n, dtype=torch.bool, device=x.device)
    keep[first] = True
    return keep


def without_redundant(x: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
    """The columns that are no combination of columns before them, nor increasing functions of one of these.

    The others add nothing to the information, but distances and ranks would count what they repeat twice.
    """
    n, d = x.shape
    if d == 1 or d > min(n // 2, _WIDEST):
        return x
    x = x[:, _kept(x.double(), _REDUNDANT.get(x.dtype, _REDUNDANT_NARROW))]
    return x[:, _kept(normal_scores(uniform_scores(x)), _REDUNDANT[torch.float64])]


def log_ratios(x: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
    """Shares that sum to 1, such as soft labels, as centred log ratios; all other numbers stay as they are.

    The last share is left out, because the others determine it. Where it is missing from the start it is put back
    first, so that both forms have one value. Shares are seen as such where all sums are within [0, 1] and some are
    near 1. (Aitchison 1986; an invertible map, which leaves the information the same.)
    """
    sums = x.double().sum(1)
    if x.shape[1] < 2 or bool((x < 0).any()) or not _NEARLY_ONE < float(sums.max()) < 1 + _SUM_TOLERANCE:
        return x
    whole = bool(((sums - 1).abs() < _SUM_TOLERANCE).all())
    shares = x.double() if whole else torch.cat([x.double(), 1 - sums[:, None]], 1)
    logs = shares.clamp(min=_LEAST_SHARE).log()
    return (logs - logs.mean(1, keepdim=True))[:, :-1]


def as_ranks(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Every column as the normal scores of its ranks: an increasing map of a column changes nothing.

    Tied values stay tied.
    """
    return normal_scores(uniform_scores(x))


def unit_columns(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Every column divided by its standard deviation; constant columns stay."""
    deviation = x.double().std(0)
    return x.double() / torch.where(deviation > 0, deviation, 1.0)


def dominant_column(x: Float[Tensor, "n d"], share: float) -> int | None:
    """The column that carries more than this share of the squared distances; None where there is none."""
    if x.shape[1] == 1:
        return None
    variances = x.double().var(0)
    largest = int(variances.argmax())
    others = float(variances.sum() - variances[largest])
    total = float(variances.sum())
    return largest if others > 0 and float(variances[largest]) > share * total else None


def _kept(x: Tensor, tolerance: float) -> Tensor:
    """Mask of columns that are constant, or independent of those before them."""
    centred = x - x.mean(0)
    # Squares of tiny or huge numbers would be 0 or infinite.
    largest = centred.abs().amax(0)
    centred = centred / torch.where(largest > 0, largest, 1.0)
    norm = centred.norm(dim=0)
    constant = (x == x[:1]).all(0)
    rest = torch.linalg.qr(centred / torch.where(norm > 0, norm, 1.0), mode="r")[1].diagonal().abs()
    return (rest > tolerance) | constant


def _is_grid(columns: list[Tensor]) -> bool:
    """Whether all columns hold whole numbers: then what repeats are levels."""
    return all(bool((column == column.round()).all()) for column in columns)


def _rows(block: Tensor) -> tuple[Int[Tensor, " n"], Int[Tensor, " values"]]:
    if block.shape[1] == 1:
        return as_classes(block[:, 0])
    return torch.unique(block, dim=0, return_inverse=True, return_counts=True)[1:]
