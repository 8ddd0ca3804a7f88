"""How many neighbours lie within a radius, and the value that such counts make.

Every neighbour formula is psi(n) plus the mean of n terms, one for each example. `value` is that number.
`pointwise` gives its n parts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Bool, Float, Int
from infopace.estimators._neighbour_search._distances import Distances, true_in_rows


def value(terms: Float[Tensor, " n"]) -> float:
    """psi(n) + < terms > in nats; nan for fewer than two examples."""
    return math.nan if len(terms) < 2 else float(_psi_n(terms) + terms.mean().cpu())


def pointwise(terms: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What each example contributes, psi(n) + its term; the mean is the value."""
    return _psi_n(terms).to(terms.device) + terms


def kth_radius(distances: Distances, k: int, start: int, stop: int) -> Float[Tensor, " block"]:
    """Canonical distance from each of the examples start..stop to its k-th nearest other example."""
    measured, slack = distances.rows(start, stop)
    row = torch.arange(stop - start, device=distances.device)
    others = measured.clone()
    others[row, row + start] = math.inf
    guess = others.topk(k, largest=False).values[:, -1:]
    if not bool(slack.any()):
        return guess[:, 0]
    # Both the pair and the guess err by at most the slack. Beyond twice the slack the order is certain.
    inside = others < guess - 2 * slack
    i, j = ((others <= guess + 2 * slack) & ~inside).nonzero(as_tuple=True)
    return radius_among(distances.exact(i + start, j), i, k - true_in_rows(inside), stop - start)


def radius_among(
    values: Float[Tensor, " pairs"], row: Int[Tensor, " pairs"], rank: Int[Tensor, " block"], rows: int
) -> Float[Tensor, " block"]:
    """The rank-th smallest (from 1) of the values of each row; inf for a row without values."""
    order = torch.argsort(values, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    amount = torch.bincount(row, minlength=rows)
    first = torch.cumsum(amount, 0) - amount
    present = amount > 0
    result = torch.full((rows,), math.inf, dtype=torch.float64, device=values.device)
    result[present] = values[order][(first + rank - 1)[present]]
    return result


def count_within(
    distances: Distances, radius: Float[Tensor, " block"], start: int, stop: int, *, strict: bool
) -> Float[Tensor, " block"]:
    """Other examples nearer than the radius (strict), or at most that far, for the examples start..stop."""
    measured, slack = distances.rows(start, stop)
    inside, undecided = split_at(distances, radius[:, None], slack, start, stop)
    count = true_in_rows(inside).double()
    i, j = undecided.nonzero(as_tuple=True)
    values = distances.exact(i + start, j) if bool(slack.any()) else measured[i, j]
    hit = values < radius[i] if strict else values <= radius[i]
    return count.index_add_(0, i, hit.double())


def split_at(
    distances: Distances,
    guess: Float[Tensor, "block 1"],
    margin: Float[Tensor, "block 1"],
    start: int,
    stop: int,
) -> tuple[Bool[Tensor, "block n"], Bool[Tensor, "block n"]]:
    """Masks of the other examples: those certainly nearer than the guess, and those within the margin of it."""
    measured, _ = distances.rows(start, stop)
    inside = measured < guess - margin
    undecided = (measured <= guess + margin) & ~inside
    for mask in (inside, undecided):
        row = torch.arange(len(mask), device=mask.device)
        mask[row, row + start] = False
    return inside, undecided


def tied_count(
    space: Distances, radius: Float[Tensor, " block"], start: int, stop: int
) -> Float[Tensor, " block"]:
    """What replaces n_x + 1 of KSG-1 in a space with ties.

        max(n_<=, n_< + 1),  or n_<= + 1 at radius 0

    n_< counts the other examples nearer than the radius, n_<= those at most that far. Without ties both give
    n_< + 1: one example is at the radius in the block that sets it, and none in any other block.
    """
    nearer = count_within(space, radius, start, stop, strict=True)
    within = count_within(space, radius, start, stop, strict=False)
    return torch.where(radius == 0, within + 1, torch.maximum(within, nearer + 1))


def tied_neighbours(
    space: Distances, radius: Float[Tensor, " block"], start: int, stop: int
) -> Float[Tensor, " block"]:
    """What replaces k where examples tie with the k-th neighbour: all of them, and example i itself at radius 0."""
    return count_within(space, radius, start, stop, strict=False) + (radius == 0)


def _psi_n(terms: Tensor) -> Tensor:
    return torch.digamma(torch.tensor(float(len(terms)), dtype=torch.float64))
