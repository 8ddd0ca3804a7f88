"""KSG-1 between two single columns by sorted values: the same value as from all pairs, in far less work.

The k nearest neighbours of an example are sought among the examples next to it in x, some on either side. They are
found once the next one in x is farther away than the k-th of them. Else the window is made four times as wide. Counts
bisect the sorted values. Every comparison is made on canonical distances, so the value has the same bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._neighbour_search._counts import value

# Neighbours in x on either side that are looked at first, in units of sqrt(k n). Independent values need about half.
_WINDOW = 0.6
# Elements of a window that are compared at once (16 MB of float64).
_CHUNK = 2**21


def lines_ksg1_terms(
    x: Float[Tensor, " n"], y: Float[Tensor, " n"], k: int, factors: tuple[float, float]
) -> Float[Tensor, " n"] | None:
    """The n terms of `ksg1` for squared distances times these factors; None where an example has k copies."""
    order = torch.argsort(x, stable=True)
    xs, ys = x[order], y[order]
    radius = torch.empty_like(xs)
    rows, window = torch.arange(len(xs), device=x.device), int(_WINDOW * math.sqrt(k * len(xs))) + k
    while len(rows):
        found, sure = _kth(xs, ys, k, factors, rows, window)
        radius[rows[sure]] = found[sure]
        rows, window = rows[~sure], 4 * window
    if bool((radius == 0).any()):
        return None
    n_x = count_nearer(xs, radius, factors[0])
    by_y = torch.argsort(ys, stable=True)
    n_y = torch.empty_like(n_x)
    n_y[by_y] = count_nearer(ys[by_y], radius[by_y], factors[1])
    terms = torch.empty_like(xs)
    psi_k = torch.digamma(torch.tensor(float(k), dtype=torch.float64, device=x.device))
    terms[order] = psi_k - torch.digamma(n_x + 1) - torch.digamma(n_y + 1)
    return terms


def lines_ksg1_values(
    x: Float[Tensor, " n"], y: Float[Tensor, " n"], k: int, factors: tuple[float, float], parts: list[Tensor]
) -> list[float] | None:
    """`ksg1` on each of some small parts, from all their pairs at once; None where an example has k copies."""
    found: dict[int, float] = {}
    for size in {len(part) for part in parts}:
        same = [place for place, part in enumerate(parts) if len(part) == size]
        at_once = max(1, _CHUNK // (2 * size**2))
        for some in (same[start : start + at_once] for start in range(0, len(same), at_once)):
            index = torch.stack([parts[place] for place in some])
            apart = [
                _squared(values[index][:, :, None], values[index][:, None, :], factor)
                for values, factor in zip((x, y), factors, strict=True)
            ]
            joint = torch.maximum(*apart)
            joint.diagonal(dim1=1, dim2=2).fill_(math.inf)
            radius = joint.topk(k, largest=False).values[:, :, -1:]
            if bool((radius == 0).any()):
                return None
            # Each example is nearer to itself than the radius, so these are n_x + 1 and n_y + 1.
            n_x, n_y = ((block < radius).sum(2, dtype=torch.int32).double() for block in apart)
            psi_k = torch.digamma(torch.tensor(float(k), dtype=torch.float64, device=x.device))
            terms = psi_k - torch.digamma(n_x) - torch.digamma(n_y)
            found |= {place: value(row) for place, row in zip(some, terms, strict=True)}
    return [found[place] for place in range(len(parts))]


def _kth(
    xs: Tensor, ys: Tensor, k: int, factors: tuple[float, float], rows: Int[Tensor, " m"], window: int
) -> tuple[Tensor, Tensor]:
    """Joint distance to the k-th neighbour within a window in x, and whether no other example can be nearer."""
    n, window = len(xs), min(window, len(xs) - 1)
    # Infinity beyond both ends: nothing there is near.
    wide_x, wide_y = (torch.nn.functional.pad(v, (window, window), value=math.inf) for v in (xs, ys))
    views = [v.unfold(0, 2 * window + 1, 1) for v in (wide_x, wide_y)]
    found, sure = [], []
    for part in rows.split(max(1, _CHUNK // (2 * window + 1))):
        near_x, near_y = (view if len(part) == n else view[part] for view in views)
        joint = torch.maximum(
            _squared(near_x, xs[part, None], factors[0]), _squared(near_y, ys[part, None], factors[1])
        )
        joint[:, window] = math.inf
        kth = joint.topk(k, largest=False).values[:, -1]
        reach = torch.full_like(kth, math.inf)
        for side in (-window - 1, window + 1):
            beyond = part + side
            inside = (beyond >= 0) & (beyond < n)
            apart = _squared(xs[part], xs[beyond.clamp(0, n - 1)], factors[0])
            reach = torch.where(inside, torch.minimum(reach, apart), reach)
        found.append(kth)
        sure.append(kth <= reach)
    return torch.cat(found), torch.cat(sure)


def count_nearer(
    values: Float[Tensor, "*columns n"], radius: Float[Tensor, "*columns n"], factor: float = 1.0
) -> Float[Tensor, "*columns n"]:
    """Other sorted values whose canonical distance, squared and times the factor, is below the radius of each."""
    here = torch.arange(values.shape[-1], device=values.device).expand(values.shape)
    reach = (radius / factor).sqrt()
    low = torch.searchsorted(values, values - reach).minimum(here)
    high = torch.searchsorted(values, values + reach, right=True).sub_(1).maximum(here)
    # The ends are right up to rounding. Each moves until it is the last inside.
    for end, step in ((low, -1), (high, 1)):
        while bool((back := ~_nearer(values, end, radius, factor) & (end != here)).any()):
            end -= step * back.long()
        while bool((on := _nearer(values, end + step, radius, factor)).any()):
            end += step * on.long()
    return (high - low).double()


def _nearer(values: Tensor, other: Tensor, radius: Tensor, factor: float) -> Tensor:
    """Of each value whether the one at the place `other` is nearer than its radius; beyond the ends none is."""
    n = values.shape[-1]
    other_value = values.gather(-1, other.clamp(0, n - 1))
    return (_squared(values, other_value, factor) < radius) & (other >= 0) & (other < n)


def _squared(a: Tensor, b: Tensor, factor: float) -> Tensor:
    square = (a - b).square()
    return square if factor == 1.0 else square * factor
