"""Mutual information between vectors and class labels: Ross (2014), with ties counted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._checks import whole
from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes, check_same_number
from infopace.estimators._neighbour_search._counts import radius_among, value
from infopace.estimators._neighbour_search._distances import Distances, row_blocks, true_in_rows


def ross(distances: Distances, labels: Int[Tensor, " n"], k: int = 3) -> float:
    """Nearest-neighbour estimate of I(X;Y) in nats for vectors x and class labels y.

        I = psi(n) + < psi(kt_i) - psi(N_c(i)) - psi(m_i) >

    psi is the digamma function and <> the mean over examples. rho_i is the distance from example i to its k-th
    nearest neighbour within its class. Within rho_i (<=, example i left out) lie kt_i examples of its class and m_i
    examples of any class. N_c is the size of the class.

    Without ties kt_i = k, and this is the estimator of Ross. With ties (dead units, saturated outputs) the counts
    grow on both sides and it stays right, without added noise. A class of at most k examples uses k = N_c - 1.
    Examples that are alone in their class are left out; the value is nan if there are no others.

    Args:
        distances: Distances between the examples of x, as `pairwise_distances` gives them.
        labels: (n,) class of each example.
        k: Neighbours within the class, at least 1.

    Raises:
        ValueError: distances and labels of different lengths, k below 1.

    Source: B. C. Ross, PLoS ONE 9(2): e87357 (2014).

    >>> from infopace.estimators import pairwise_distances
    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> round(ross(pairwise_distances(x), (x[:, 0] > 0.5).long()), 2)
    0.68
    """
    check_same_number(distances.n, len(labels), "distances", "labels")
    return value(ross_terms(distances, labels, whole("k", k, 1)))


def ross_terms(distances: Distances, labels: Int[Tensor, " n"], k: int) -> Float[Tensor, " m"]:
    """The terms whose mean, with psi(m), is `ross`, for the m examples that are not alone in their class."""
    classes, sizes = as_classes(labels)
    kept = (sizes[classes] > 1).nonzero().squeeze(1)
    if len(kept) == 0:
        return torch.empty(0, dtype=torch.float64)
    if len(kept) < len(labels):
        distances = distances.subset(kept)
        classes, sizes = as_classes(labels[kept])
    neighbours = torch.clamp(sizes[classes] - 1, max=k)
    all_examples = torch.empty(len(kept), dtype=torch.long, device=distances.device)
    own_class = torch.empty_like(all_examples)
    for start, stop in row_blocks(len(kept)):
        block = slice(start, stop)
        own_class[block], all_examples[block] = _counts(distances, classes, neighbours, start, stop)
    return _psi(own_class) - _psi(sizes[classes]) - _psi(all_examples)


def singletons(labels: Int[Tensor, " n"]) -> int:
    """Examples that are alone in their class."""
    return int((as_classes(labels)[1] == 1).sum())


def _counts(
    distances: Distances, classes: Tensor, neighbours: Tensor, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """(kt, m) of the examples start..stop: those within the radius, of the own class and of any."""
    measured, slack = distances.rows(start, stop)
    own = classes[start:stop, None] == classes[None, :]
    row = torch.arange(stop - start, device=distances.device)
    own[row, row + start] = False
    wanted = neighbours[start:stop, None]
    nearest = torch.where(own, measured, math.inf).topk(int(wanted.max()), largest=False).values
    radius = nearest.gather(1, wanted - 1)
    # Both the pair and the radius err by at most the slack. Beyond twice the slack the order is certain.
    inside = measured < radius - 2 * slack
    inside[row, row + start] = False
    undecided = (measured <= radius + 2 * slack) & ~inside
    undecided[row, row + start] = False
    within_own, within_all = true_in_rows(inside & own), true_in_rows(inside)
    open_pairs = true_in_rows(undecided)
    # A single undecided pair is the k-th neighbour itself.
    alone = open_pairs == 1
    within_own += alone
    within_all += alone
    if bool(alone.all()):
        return within_own, within_all
    if not bool(slack.any()):
        # The distances are exact, so the undecided ones equal the radius.
        tied = ~alone
        return within_own + tied * true_in_rows(undecided & own), within_all + tied * open_pairs
    i, j = (undecided & ~alone[:, None]).nonzero(as_tuple=True)
    canonical = distances.exact(i + start, j)
    mine = own[i, j]
    limit = radius_among(canonical[mine], i[mine], wanted[:, 0] - within_own, stop - start)
    hit = canonical <= limit[i]
    within_own.index_add_(0, i[hit & mine], torch.ones_like(i[hit & mine]))
    within_all.index_add_(0, i[hit], torch.ones_like(i[hit]))
    return within_own, within_all


def _psi(counts: Tensor) -> Tensor:
    return torch.digamma(counts.double())
