"""Mutual information between two vectors: Kraskov, Stögbauer and Grassberger (2004), both estimators."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Bool, Float
from infopace.estimators._inputs import check_neighbours, check_same_number
from infopace.estimators._neighbour_search._counts import count_within, radius_among, split_at, value
from infopace.estimators._neighbour_search._distances import Distances, row_blocks, true_in_rows


def ksg1(x: Distances, y: Distances, k: int = 3) -> float:
    """First KSG estimate of I(X;Y) in nats.

        I = psi(k) + psi(n) - < psi(n_x + 1) + psi(n_y + 1) >

    psi is the digamma function and <> the mean over examples. The distance of two examples is the larger of their
    x- and y-distance. rho_i is the distance from example i to its k-th nearest neighbour. n_x and n_y count the other
    examples strictly nearer than rho_i, in x and in y. An example with k or more copies has rho_i = 0, and nothing is
    strictly nearer. It counts its copies instead: copies + 1 for k, n_x and n_y at distance 0 (Gao et al., NeurIPS
    2017).

    Args:
        x: Distances between the examples of x, as `standardized_distances` gives them.
        y: The same for y.
        k: Neighbours, 1..n-1.

    Raises:
        ValueError: x and y of different lengths, k outside 1..n-1.

    Source: Kraskov et al., Phys. Rev. E 69, 066138 (2004), eq. 8.

    >>> from infopace.estimators import standardized_distances
    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> round(ksg1(standardized_distances(x), standardized_distances(x.square())), 2)
    2.7
    """
    check_same_number(x.n, y.n, "x", "y")
    return value(ksg1_terms(x, y, check_neighbours(k, x.n))[0])


def ksg1_terms(x: Distances, y: Distances, k: int) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """The n terms whose mean, with psi(n), is `ksg1`, and which examples have k or more copies."""
    terms = torch.empty(x.n, dtype=torch.float64, device=x.device)
    copied = torch.empty(x.n, dtype=torch.bool, device=x.device)
    for start, stop in row_blocks(x.n):
        neighbours, n_x, n_y = ksg1_counts(x, y, k, start, stop)
        terms[start:stop] = torch.digamma(neighbours) - torch.digamma(n_x + 1) - torch.digamma(n_y + 1)
        copied[start:stop] = neighbours > k
    return terms, copied


def ksg2(x: Distances, y: Distances, k: int = 3) -> float:
    """Second KSG estimate of I(X;Y) in nats.

        I = psi(k) - 1/k + psi(n) - < psi(n_x) + psi(n_y) >

    Each block has its own radius: the largest x-distance among the k nearest neighbours in the joint space, and
    likewise for y. n_x counts the other examples whose x-distance is at most that radius, n_y likewise. Examples that
    tie with the k-th neighbour count as neighbours, and k is then their number.

    Args:
        x: Distances between the examples of x, as `standardized_distances` gives them.
        y: The same for y.
        k: Neighbours, 1..n-1.

    Raises:
        ValueError: x and y of different lengths, k outside 1..n-1.

    Source: Kraskov et al., Phys. Rev. E 69, 066138 (2004), eq. 9.
    """
    check_same_number(x.n, y.n, "x", "y")
    return value(ksg2_terms(x, y, check_neighbours(k, x.n)))


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


def ksg1_counts(
    x: Distances, y: Distances, k: int, start: int, stop: int
) -> tuple[Float[Tensor, " block"], Float[Tensor, " block"], Float[Tensor, " block"]]:
    """(k, n_x, n_y) of `ksg1` for the examples start..stop; k is larger where an example has copies."""
    joint, joint_slack = _joint(x, y, start, stop)
    guess = joint.topk(k, largest=False).values[:, -1:]
    inside_x, undecided_x = split_at(x, guess, 2 * joint_slack, start, stop)
    inside_y, undecided_y = split_at(y, guess, 2 * joint_slack, start, stop)
    n_x, n_y = true_in_rows(inside_x).double(), true_in_rows(inside_y).double()
    neighbours = torch.full_like(n_x, k)
    # A single undecided comparison is the k-th neighbour with itself, which is not strictly nearer.
    unsure = true_in_rows(undecided_x) + true_in_rows(undecided_y) > 1
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


def _joint_radius(
    x: Distances, y: Distances, k: int, start: int, stop: int, wanted: Tensor | None = None
) -> Tensor:
    """Canonical distance to the k-th joint neighbour of the examples start..stop; inf for those not wanted."""
    measured, slack = _joint(x, y, start, stop)
    guess = measured.topk(k, largest=False).values[:, -1:]
    if not bool(slack.any()):
        return guess[:, 0]
    inside = measured < guess - 2 * slack
    undecided = (measured <= guess + 2 * slack) & ~inside
    if wanted is not None:
        undecided &= wanted[:, None]
    i, j = undecided.nonzero(as_tuple=True)
    values = torch.maximum(x.exact(i + start, j), y.exact(i + start, j))
    return radius_among(values, i, k - true_in_rows(inside), stop - start)


def _joint_neighbours(
    x: Distances, y: Distances, radius: Tensor, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """Pairs (example - start, other) at most the radius apart in the joint space."""
    measured, slack = _joint(x, y, start, stop)
    i, j = (measured <= radius[:, None] + slack).nonzero(as_tuple=True)
    values = torch.maximum(x.exact(i + start, j), y.exact(i + start, j))
    hit = values <= radius[i]
    return i[hit], j[hit]


def _joint(x: Distances, y: Distances, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Joint distances of the examples start..stop, infinite to themselves, and the bound on their error."""
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
