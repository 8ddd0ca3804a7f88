"""Mutual information between vectors and class labels: Ross (2014), made right for ties."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._distances import Distances, row_blocks, true_in_rows
from infopace.estimators._labels import as_classes
from infopace.estimators._terms import value


def ross(distances: Distances, labels: Int[Tensor, " n"], k: int) -> float:
    """Nearest-neighbour estimate of I(X;Y) in nats for vectors x and class labels y.

        I = psi(n) + < psi(kt_i) - psi(N_c(i)) - psi(m_i) >

    psi is the digamma function, <> the mean over rows, rho_i the distance from row i to its k-th nearest
    neighbour within its class, kt_i the number of rows of its class and m_i the number of all rows within
    rho_i (<=, row i left out), N_c the size of its class. Without ties kt_i = k, and this is the estimator of
    B. C. Ross, PLoS ONE 9(2): e87357 (2014). With ties (dead units, saturated outputs) the counts grow on
    both sides and it stays right, without added noise. A class of at most k rows uses k = N_c - 1; rows alone
    in their class are left out, nan if there are no others.
    """
    return value(ross_terms(distances, labels, k))


def ross_terms(distances: Distances, labels: Int[Tensor, " n"], k: int) -> Float[Tensor, " m"]:
    """The terms whose mean, with psi(m), is `ross`, of the m rows that are not alone in their class."""
    classes, sizes = as_classes(labels)
    kept = (sizes[classes] > 1).nonzero().squeeze(1)
    if len(kept) == 0:
        return torch.empty(0, dtype=torch.float64)
    if len(kept) < len(labels):
        distances = distances.subset(kept)
        classes, sizes = as_classes(labels[kept])
    neighbours = torch.clamp(sizes[classes] - 1, max=k)
    all_rows = torch.empty(len(kept), dtype=torch.long, device=distances.device)
    own_class = torch.empty_like(all_rows)
    for start, stop in row_blocks(len(kept)):
        block = slice(start, stop)
        own_class[block], all_rows[block] = _counts(distances, classes, neighbours, start, stop)
    return _psi(own_class) - _psi(sizes[classes]) - _psi(all_rows)


def singletons(labels: Int[Tensor, " n"]) -> int:
    """Rows that are alone in their class."""
    return int((as_classes(labels)[1] == 1).sum())


def _counts(
    distances: Distances, classes: Tensor, neighbours: Tensor, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """(kt, m) of the rows start..stop: rows within the radius, of the own class and of any."""
    measured, slack = distances.rows(start, stop)
    own = classes[start:stop, None] == classes[None, :]
    row = torch.arange(stop - start, device=distances.device)
    own[row, row + start] = False
    wanted = neighbours[start:stop, None]
    nearest = torch.where(own, measured, math.inf).topk(int(wanted.max()), largest=False).values
    radius = nearest.gather(1, wanted - 1)
    # |measured - canonical| <= slack for both the pair and the radius: beyond twice that the order is
    # certain.
    inside = measured < radius - 2 * slack
    inside[row, row + start] = False
    open_ = (measured <= radius + 2 * slack) & ~inside
    open_[row, row + start] = False
    within_own, within_all = true_in_rows(inside & own), true_in_rows(inside)
    opened = true_in_rows(open_)
    alone = opened == 1
    within_own += alone
    within_all += alone
    if bool(alone.all()):
        return within_own, within_all
    if not bool(slack.any()):
        # Exact distances: the open ones equal the radius.
        tied = ~alone
        return within_own + tied * true_in_rows(open_ & own), within_all + tied * opened
    i, j = (open_ & ~alone[:, None]).nonzero(as_tuple=True)
    canonical = distances.exact(i + start, j)
    mine = own[i, j]
    limit = radius_among(canonical[mine], i[mine], wanted[:, 0] - within_own, stop - start)
    hit = canonical <= limit[i]
    within_own.index_add_(0, i[hit & mine], torch.ones_like(i[hit & mine]))
    within_all.index_add_(0, i[hit], torch.ones_like(i[hit]))
    return within_own, within_all


def radius_among(values: Tensor, row: Tensor, rank: Tensor, rows: int) -> Tensor:
    """For each row the rank-th smallest (from 1) of its values; inf for rows without values."""
    order = torch.argsort(values, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    amount = torch.bincount(row, minlength=rows)
    first = torch.cumsum(amount, 0) - amount
    present = amount > 0
    result = torch.full((rows,), math.inf, dtype=torch.float64, device=values.device)
    result[present] = values[order][(first + rank - 1)[present]]
    return result


def _psi(counts: Tensor) -> Tensor:
    return torch.digamma(counts.double())
