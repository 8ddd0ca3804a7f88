"""Ranks and scores, which remove what mutual information does not depend on.

I(X;Y) does not change when an increasing function maps a column. So every column is replaced by its ranks, and models
are fitted to these. The marginal shapes (heavy tails, bounded, bimodal) then no longer matter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Ranks of n examples cannot show a dependence of more than ln n minus this many nats.
_UNRESOLVED = 2.3
# For combinations of columns the limit is half of ln n minus this many.
_UNRESOLVED_SUM = 0.8
# Bias that ranks cause in a Gaussian copula's information: studies/rank_resolution/run.py.
_RANK_BIAS = 5.7


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


def varying(x: Tensor) -> Tensor:
    """The columns that are not constant."""
    return x[:, (x != x[:1]).any(0)]


def content_order(u: Tensor) -> Tensor:
    """An order of the examples by their contents only, so that no result depends on the order given."""
    order = torch.arange(len(u))
    for column in reversed(range(min(u.shape[1], 8))):
        order = order[torch.sort(u[order, column], stable=True).indices]
    return order


def principal_columns(u: Tensor, most: int) -> Tensor:
    """At most `most` columns: the leading principal components of the normal scores, as scores again.

    A function of X alone cannot raise I(X;Y), so the information left is still a lower bound.
    """
    if u.shape[1] <= most:
        return u
    z = normal_scores(u)
    z = z - z.mean(0)
    left, values, _ = torch.linalg.svd(z, full_matrices=False)
    components = left[:, :most] * values[:most]
    # The sign of a component is free. Its largest entry fixes it.
    components = components * components.gather(0, components.abs().argmax(0, keepdim=True)).sign()
    return uniform_scores(components)


def ranks_resolve(information: Tensor, n: int) -> bool:
    """Whether the ranks of n examples can show canonical pairs (m,) of this information in nats.

    From 2.3 nats below ln n on, few examples change places. Beyond ln n none does, and the ranks of y are those of x.
    """
    return not bool((information > math.log(n) - _UNRESOLVED).any())


def rank_bias(information: Tensor, n: int, width: int) -> float:
    """Bias, in nats, of the information of canonical pairs (m,) that was estimated from the ranks of n examples.

        b = - sum_i asinh(c e^I_i r_i^2 / 2n),    c = 5.7,    r_i^2 = 1 - exp(-2 I_i)

    Let y = x + s e. Ranks add about c s / n to the variance s^2 that x leaves unexplained of y, because an example
    moves past whole neighbours or stays. Solved for s, the estimate is too low by b. Measured with I from 0 to 5 nats
    below ln n and n from 30 to 10,000 (studies/rank_resolution/run.py): -0.02 at 5 nats, -0.32 at 2 nats, -0.95 at
    ln n.

    A combination of several columns has the sampling error of each column's ranks, a variance of about 1 / n. It never
    shows more than about ln n / 2. There is then no upper limit, and the bias is -inf.
    """
    if width > 2 and bool((information > 0.5 * math.log(n) - _UNRESOLVED_SUM).any()):
        return -math.inf
    squares = -torch.expm1(-2 * information)
    return -float(torch.asinh(_RANK_BIAS * information.exp() * squares / (2 * n)).sum())
