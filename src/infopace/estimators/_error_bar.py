"""Error bars from disjoint parts of the sample.

A bootstrap copies rows, and copies are ties, which neighbour counts take for structure. Disjoint parts are
honest samples of a smaller size; their spread, scaled by 1/n, gives the error of the whole
(Holmes & Nemenman, Phys. Rev. E 100, 022404, 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_MOST_PARTS = 10


def subsampling_std_error(
    estimate: Callable[[Tensor], float], n: int, k: int, classes: Tensor | None = None
) -> float:
    """Standard error, in nats, of an estimate over n rows.

    `estimate(index)` gives the value on the rows of a (m,) index. The rows are split at random (always the
    same way) into 2, 3, .. 10 parts, class by class where there are labels. With s2_m the variance over m
    parts of size n/m and a variance of B / size, each s2_m * n/m estimates B; B is their mean weighted by its
    m - 1 degrees of freedom. nan where the sample is too small to be split.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    if classes is not None:
        order = order[torch.argsort(classes.cpu()[order], stable=True)]
    most = min(_MOST_PARTS, n // (4 * (k + 1)))
    total, freedom = 0.0, 0
    for parts in range(2, most + 1):
        values = [estimate(order[part::parts]) for part in range(parts)]
        if all(map(math.isfinite, values)):
            total += float(torch.tensor(values, dtype=torch.float64).var()) * (n / parts) * (parts - 1)
            freedom += parts - 1
    return math.sqrt(total / freedom / n) if freedom else math.nan
