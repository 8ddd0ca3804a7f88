"""What an estimator shows where x and y are independent: its values with y shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from infopace._typing import Float


def permutation_null(
    estimate: Callable[[Tensor], float],
    n: int,
    permutations: int,
    seed: int = 0,
    on_permutation: Callable[[int, int], None] | None = None,
) -> Float[Tensor, " permutations"]:
    """Values of an estimate, in nats, after `permutations` random orders of y.

    Shuffling keeps x and y and removes what joins them. So these are draws under independence with the margins, ties
    and n of the data. The same seed gives the same permutations on every machine.

    Args:
        estimate: index -> the value with y[index] instead of y, for a (n,) index on the CPU. Distances need computing
            only once: labels are re-ordered, and `Distances.subset(index)` re-orders a kept matrix.
        n: Examples, at least 2.
        permutations: How many, at least 1.
        seed: Of the permutations.
        on_permutation: Called with (done, permutations) after each, and with done = 0 before the first.

    Returns:
        (permutations,) values.

    Raises:
        ValueError: n < 2, permutations < 1, or an estimate that is nan.
    """
    if n < 2:
        raise ValueError(f"a permutation needs n >= 2 examples, got n = {n}")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    generator = torch.Generator().manual_seed(seed)
    values = []
    for done in range(permutations + 1):
        if done:
            values.append(estimate(torch.randperm(n, generator=generator)))
        if on_permutation is not None:
            on_permutation(done, permutations)
    if any(map(math.isnan, values)):
        raise ValueError("the estimate must be a number under every permutation, got nan")
    return torch.tensor(values, dtype=torch.float64)


def p_value(value: float, null: Float[Tensor, " permutations"]) -> float:
    """Probability under independence of a value at least this large.

        p = (1 + #{null >= value}) / (1 + P)

    P is the number of null values. The order of the data is one of the 1 + P orders, so p is never 0. For every P it
    is at most a with probability at most a (Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).

    Args:
        value: The estimate.
        null: (P,) values under independence, as `permutation_null` gives them.

    Raises:
        ValueError: a value that is nan, or no null values.

    >>> p_value(0.5, torch.tensor([0.1, 0.2, 0.6]))
    0.5
    """
    if math.isnan(value) or len(null) == 0:
        raise ValueError(f"a p-value needs a number and null values, got {value} and {len(null)} of them")
    return (1 + int((null >= value).sum())) / (1 + len(null))
