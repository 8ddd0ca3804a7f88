"""Ranks and scores: what mutual information cannot see, taken away.

I(X;Y) does not change when a column is mapped by an increasing function. So every column is replaced by its
ranks, and a model is fitted to these: the marginal shapes (heavy tails, bounded, bimodal) no longer matter.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_scores(x: Tensor) -> Tensor:
    """(n, d) -> (average rank - 1/2) / n of each column, in (0, 1). Tied values share a score."""
    n = len(x)
    columns = x.double().T.contiguous()
    ordered = columns.sort(1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return ((below + up_to).double() / (2 * n)).T.contiguous()


def normal_scores(u: Tensor) -> Tensor:
    """Standard normal quantiles of scores in (0, 1)."""
    return torch.special.ndtri(u)


def row_order(u: Tensor) -> Tensor:
    """An order of the rows that depends on their contents only: no result depends on the order given."""
    order = torch.arange(len(u))
    for column in reversed(range(min(u.shape[1], 8))):
        order = order[torch.sort(u[order, column], stable=True).indices]
    return order


def principal_columns(u: Tensor, most: int) -> Tensor:
    """At most `most` columns: the leading principal components of the normal scores, as scores again.

    A function of X alone cannot raise I(X;Y), so what is left is still a lower bound.
    """
    if u.shape[1] <= most:
        return u
    z = normal_scores(u)
    z = z - z.mean(0)
    left, values, _ = torch.linalg.svd(z, full_matrices=False)
    components = left[:, :most] * values[:most]
    # The sign of a component is free: fix it by its largest entry.
    components = components * components.gather(0, components.abs().argmax(0, keepdim=True)).sign()
    return uniform_scores(components)
