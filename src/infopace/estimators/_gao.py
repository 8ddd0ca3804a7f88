"""Mutual information of mixtures, discrete in some places and continuous in others: Gao et al. (2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Float
from infopace.estimators._inputs import check_neighbours, check_same_number
from infopace.estimators._neighbour_search._counts import kth_radius, tied_count, tied_neighbours, value
from infopace.estimators._neighbour_search._distances import Distances, row_blocks
from infopace.estimators._neighbour_search._spaces import Joint, LastBlockKept


def gao(x: Distances, y: Distances, k: int = 3) -> float:
    """Estimate of I(X;Y) in nats that needs no densities.

        I = psi(n) + < psi(k_i) - psi(n_x) - psi(n_y) >

    psi is the digamma function and <> the mean over examples. The distance of two examples is the larger of their
    x- and y-distance. rho_i is the distance from example i to its k-th nearest neighbour.

    - k_i is the number of other examples at most rho_i away.
    - n_x is the larger of two numbers: the other examples at most rho_i away in x, and 1 more than those nearer than
      rho_i. n_y likewise.
    - Where rho_i = 0, example i has k or more copies. Then k_i, n_x and n_y are the numbers of examples at distance
      0, example i included.

    Without ties this is `ksg1` to the bit. With copies it is the estimator of Gao and others. That is consistent for
    point masses, densities and mixtures of the two, also where the pair has no density: numbers that are 0 half of
    the time, or a few levels beside a continuum.

    It follows the program its authors published (psi and <). Their algorithm 1 prints ln and <=, which at fixed k
    stays too low. Ties at rho_i > 0, where rounded values lie on a grid, are ours, as in `ross`. Independent normal
    values, n 1000, rounded to 0.1, measure 0.51 nats without them and 0.01 with them.

    Args:
        x: Distances between the examples of x, as `standardized_distances` gives them.
        y: The same for y.
        k: Neighbours, 1..n-1.

    Raises:
        ValueError: x and y of different lengths, k outside 1..n-1.

    Source: W. Gao, S. Kannan, S. Oh and P. Viswanath, NeurIPS 30, 2017.
    """
    check_same_number(x.n, y.n, "x", "y")
    return value(gao_terms(x, y, check_neighbours(k, x.n)))


def gao_terms(x: Distances, y: Distances, k: int) -> Float[Tensor, " n"]:
    """The n terms whose mean, with psi(n), is `gao`."""
    x, y = LastBlockKept(x), LastBlockKept(y)
    joint = Joint(x, y)
    terms = torch.empty(x.n, dtype=torch.float64, device=x.device)
    for start, stop in row_blocks(x.n):
        radius = kth_radius(joint, k, start, stop)
        neighbours = tied_neighbours(joint, radius, start, stop)
        n_x, n_y = (tied_count(space, radius, start, stop) for space in (x, y))
        terms[start:stop] = torch.digamma(neighbours) - torch.digamma(n_x) - torch.digamma(n_y)
    return terms
