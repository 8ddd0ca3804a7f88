"""Mutual information between two vectors: Kraskov, Stögbauer and Grassberger (2004), both estimators."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Bool, Float
from infopace.estimators._distances import Distances, row_blocks, true_in_rows
from infopace.estimators._ross import radius_among
from infopace.estimators._terms import value


def ksg1(x: Distances, y: Distances, k: int) -> float:
    """First KSG estimate of I(X;Y) in nats.

        I = psi(k) + psi(n) - < psi(n_x + 1) + psi(n_y + 1) >

    rho_i is the distance from row i to its k-th nearest neighbour, the distance of two rows being the larger
    of their x- and y-distance; n_x and n_y count the other rows strictly nearer than rho_i in x and in y.
    Kraskov et al., Phys. Rev. E 69, 066138 (2004), eq. 8. Nothing is strictly nearer than rho_i = 0, so rows
    with k or more copies count those: copies + 1 for k, n_x and n_y at distance 0 (Gao et al., NeurIPS 2017).
    """
    return value(ksg1_terms(x, y, k)[0])


def ksg1_terms(x: Distances, y: Distances, k: int) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """The n terms whose mean, with psi(n), is `ksg1`, and which rows have k or more copies."""
    terms = torch.empty(x.n, dtype=torch.float64, device=x.device)
    copied = torch.empty(x.n, dtype=torch.bool, device=x.device)
    for start, stop in row_blocks(x.n):
        neighbours, n_x, n_y = _counts(x, y, k, start, stop)
        terms[start:stop] = torch.digamma(neighbours) - torch.digamma(n_x + 1) - torch.digamma(n_y + 1)
        copied[start:stop] = neighbours > k
    return terms, copied


def ksg2(x: Distances, y: Distances, k: int) -> float:
    """Second KSG estimate of I(X;Y) in nats.

        I = psi(k) - 1/k + psi(n) - < psi(n_x) + psi(n_y) >

    n_x counts the other rows whose x-distance is at most the largest x-distance among the k nearest
    neighbours in the joint space, n_y likewise: a radius for each block. Rows tied with the k-th neighbour
    count as neighbours, and k is then their number. Kraskov et al., Phys. Rev. E 69, 066138 (2004), eq. 9.
    """
    return value(ksg2_terms(x, y, k))


def ksg2_terms(x: Distances, y: Distances, k: int) -> Float[Tensor, " n"]:
    """The n terms whose mean, with psi(n), is `ksg2`."""
    terms = torch.empty(x.n, dtype=torch.float64, device=x.device)
    for start, stop in row_blocks(x.n):
        radius = _joint_radius(x, y, k, start, stop)
        i, j = _joint_neighbours(x, y, radius, start, stop)
        rows = stop - start
        found = torch.bincount(i, minlength=rows).double()
        n_x = count_within(x, _largest(x.exact(i + start, j), i, rows), start, stop, strict=False)
        n_y = count_within(y, _largest(y.exact(i + start, j), i, rows), start, stop, strict=False)
        terms[start:stop] = torch.digamma(found) - 1 / found - torch.digamma(n_x) - torch.digamma(n_y)
    return terms


def _counts(x: Distances, y: Distances, k: int, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """(k, n_x, n_y) of KSG-1 for the rows start..stop."""
    joint, joint_slack = _joint(x, y, start, stop)
    guess = joint.topk(k, largest=False).values[:, -1:]
    inside_x, open_x = _split(x, guess, 2 * joint_slack, start, stop)
    inside_y, open_y = _split(y, guess, 2 * joint_slack, start, stop)
    n_x, n_y = true_in_rows(inside_x).double(), true_in_rows(inside_y).double()
    neighbours = torch.full_like(n_x, k)
    # A single open comparison is the k-th neighbour with itself, which is not strictly nearer.
    unsure = true_in_rows(open_x) + true_in_rows(open_y) > 1
    if bool(unsure.any()):
        radius = _joint_radius(x, y, k, start, stop, unsure)
        exact_x = count_within(x, radius, start, stop, strict=True)
        exact_y = count_within(y, radius, start, stop, strict=True)
        copied = radius == 0
        if bool(copied.any()):
            row, _ = _joint_neighbours(x, y, radius, start, stop)
            neighbours = torch.where(copied, torch.bincount(row, minlength=stop - start) + 1.0, neighbours)
            exact_x = torch.where(copied, count_within(x, radius, start, stop, strict=False), exact_x)
            exact_y = torch.where(copied, count_within(y, radius, start, stop, strict=False), exact_y)
        n_x, n_y = torch.where(unsure, exact_x, n_x), torch.where(unsure, exact_y, n_y)
    return neighbours, n_x, n_y


def count_within(
    distances: Distances, radius: Float[Tensor, " rows"], start: int, stop: int, *, strict: bool
) -> Float[Tensor, " rows"]:
    """Other rows nearer than the radius (strict), or at most that far, for the rows start..stop."""
    measured, slack = distances.rows(start, stop)
    inside, open_ = _split(distances, radius[:, None], slack, start, stop)
    count = true_in_rows(inside).double()
    i, j = open_.nonzero(as_tuple=True)
    values = distances.exact(i + start, j) if bool(slack.any()) else measured[i, j]
    hit = values < radius[i] if strict else values <= radius[i]
    return count.index_add_(0, i, hit.double())


def _split(
    distances: Distances, guess: Tensor, margin: Tensor, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """Masks of the other rows: those certainly nearer than the guess, and those within the margin of it."""
    measured, _ = distances.rows(start, stop)
    inside = measured < guess - margin
    open_ = (measured <= guess + margin) & ~inside
    _leave_out_self(inside, start)
    _leave_out_self(open_, start)
    return inside, open_


def _joint_radius(
    x: Distances, y: Distances, k: int, start: int, stop: int, wanted: Tensor | None = None
) -> Tensor:
    """Canonical distance to the k-th joint neighbour of the rows start..stop; inf for rows not wanted."""
    measured, slack = _joint(x, y, start, stop)
    guess = measured.topk(k, largest=False).values[:, -1:]
    if not bool(slack.any()):
        return guess[:, 0]
    inside = measured < guess - 2 * slack
    open_ = (measured <= guess + 2 * slack) & ~inside
    if wanted is not None:
        open_ &= wanted[:, None]
    i, j = open_.nonzero(as_tuple=True)
    values = torch.maximum(x.exact(i + start, j), y.exact(i + start, j))
    return radius_among(values, i, k - true_in_rows(inside), stop - start)


def _joint_neighbours(
    x: Distances, y: Distances, radius: Tensor, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """Pairs (row - start, other) at most the radius apart in the joint space."""
    measured, slack = _joint(x, y, start, stop)
    i, j = (measured <= radius[:, None] + slack).nonzero(as_tuple=True)
    values = torch.maximum(x.exact(i + start, j), y.exact(i + start, j))
    hit = values <= radius[i]
    return i[hit], j[hit]


def _joint(x: Distances, y: Distances, start: int, stop: int) -> tuple[Tensor, Tensor]:
    block_x, slack_x = x.rows(start, stop)
    block_y, slack_y = y.rows(start, stop)
    joint = torch.maximum(block_x, block_y)
    row = torch.arange(stop - start, device=x.device)
    joint[row, row + start] = torch.inf
    return joint, torch.maximum(slack_x, slack_y)


def _largest(values: Tensor, row: Tensor, rows: int) -> Tensor:
    return torch.zeros(rows, dtype=torch.float64, device=values.device).scatter_reduce_(
        0, row, values, "amax"
    )


def _leave_out_self(mask: Tensor, start: int) -> None:
    row = torch.arange(len(mask), device=mask.device)
    mask[row, row + start] = False
