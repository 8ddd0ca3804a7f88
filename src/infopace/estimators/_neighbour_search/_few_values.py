"""Ross for vectors that take few values: each distinct vector once, with the number of its copies."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes
from infopace.estimators._neighbour_search._distances import pairwise_distances

# Distinct vectors that are compared pair by pair, once for each class (8 MB a table).
_MOST = 1_024


def takes_few_values(x: Float[Tensor, "n d"]) -> bool:
    """Whether the examples are copies of a few distinct vectors, at least eight of each on average."""
    return len(torch.unique(x, dim=0)) <= min(_MOST, len(x) // 8)


def few_ross_terms(
    x: Float[Tensor, "n d"], labels: Int[Tensor, " n"], k: int, norm: str
) -> Float[Tensor, " m"]:
    """`ross_terms` from the canonical distances of distinct vectors: the counts are the same."""
    classes, sizes = as_classes(labels)
    kept = sizes[classes] > 1
    if not bool(kept.any()):
        return torch.empty(0, dtype=torch.float64)
    classes, sizes = as_classes(labels[kept])
    distinct, group = torch.unique(x[kept], dim=0, return_inverse=True)
    m, number = len(distinct), len(sizes)
    copies = torch.bincount(group * number + classes, minlength=m * number).reshape(m, number)
    every = torch.arange(m, device=x.device)
    pairs = pairwise_distances(distinct, norm).exact(every.repeat_interleave(m), every.repeat(m))
    apart, order = pairs.reshape(m, m).sort(1)
    within_all = copies.sum(1)[order].cumsum(1)
    own_class, all_examples = torch.zeros_like(copies), torch.zeros_like(copies)
    for c in range(number):
        within_own = copies[:, c][order].cumsum(1)
        # The example itself is the first one within any radius.
        needed = torch.full((m, 1), min(k, int(sizes[c]) - 1) + 1, device=x.device)
        radius = apart.gather(1, torch.searchsorted(within_own, needed))
        last = torch.searchsorted(apart, radius, right=True) - 1
        own_class[:, c] = within_own.gather(1, last)[:, 0] - 1
        all_examples[:, c] = within_all.gather(1, last)[:, 0] - 1
    counts = own_class[group, classes], sizes[classes], all_examples[group, classes]
    own, size, every_class = (torch.digamma(count.double()) for count in counts)
    return own - size - every_class
