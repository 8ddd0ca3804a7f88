"""Error bars from disjoint parts of the sample: the noise of a neighbour estimate, and the bias that it shows.

A bootstrap copies examples. Copies are ties, and neighbour counts take ties for structure. Disjoint parts are proper
samples of a smaller size. Their spread, scaled by 1/n, gives the error of the whole (Holmes & Nemenman, Phys. Rev. E
100, 022404, 2019). The way their mean changes with their size gives its bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Int

_MOST_PARTS = 10
# Where x determines y, neighbour estimates gain ln 2 with twice the examples, which is a bias of -1.07. From this bias
# on most of the value is such growth, and its end is unknown.
GROWING = -0.4
# This near to the most that n examples can show, neighbours in x and in y are almost the same.
_NEAR_CAP = 0.8
# n times the variance of KSG-1 and Ross grows slowly with n, as n^g. Five laws give g from -0.01 to 0.11; this is the
# mean (results/part_laws.jsonl, studies/error_bar_law/run.py). Without it error bars are 8 % too short.
_GROWTH = 0.075


@dataclass(frozen=True)
class ErrorBar:
    """What the parts show: standard error and bias in nats, and the error's degrees of freedom."""

    std_error: float = math.nan
    bias: float = math.nan
    freedom: float = math.nan


def subsampling_error_bar(
    estimate: Callable[[Tensor], float],
    whole: float,
    n: int,
    k: int,
    classes: Tensor | None = None,
    together: Callable[[list[Tensor]], list[float]] | None = None,
) -> ErrorBar:
    """Error bar of `whole`, the value of an estimate on all n examples; nan where they are too few to be split.

    `estimate(index)` gives the value on the examples of a (m,) index. The examples are split once, into 10 parts or as
    many as have enough examples (`part_values`). So the error bar takes about a tenth of the pairs of the value. With
    trees and sorted values, whose work grows like n, it takes at most as much again. `together` gives the values on
    several parts in one pass.

    Standard error: with the variance s2 over m parts of size n/m, a variance of B size^(0.075 - 1) gives B.

    Bias: neighbours are not at the point itself. That matters more in parts, where neighbours are farther apart. With
    a bias of b sqrt(m) in parts of n/m examples, b is the difference of the mean over the parts and the whole, over
    sqrt(m) - 1. The power 1/2 is measured (studies/error_bar_law): three classes in d = 10 and a normal d = 5 show
    -0.020 and -0.030 on average, and fall short by 0.019 and 0.033. The difference is a third as noisy as the value and
    moves against it. Use it to widen an interval, not to correct the value.
    """
    if not math.isfinite(whole):
        return ErrorBar()
    values: list[float] = []
    # Small classes leave no neighbours in small parts. Then there are fewer parts.
    count = 2 * _most_parts(n, k)
    while not values and (count := count // 2) >= 2:
        values = _values_of_parts(estimate, _stratified_order(n, classes), count, together)
    if not values:
        return ErrorBar()
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return ErrorBar(
        math.sqrt(variance * count ** (_GROWTH - 1)), (mean - whole) / (math.sqrt(count) - 1), count - 1.0
    )


def fewest(k: int) -> int:
    """The fewest examples with an error bar: two parts of 4 (k + 1)."""
    return 8 * (k + 1)


def is_unresolved(nats: float, bias: float, n: int, k: int) -> bool:
    """Whether a neighbour estimate between two vectors is limited by n and not by the information.

    Such an estimate cannot exceed psi(n) - psi(k). It reaches that where the k nearest in x are the k nearest in y. It
    is limited where the value is near that, or where the parts show that it grows with n.
    """
    psi = torch.digamma(torch.tensor([n, k], dtype=torch.float64))
    cap = float(psi[0] - psi[1])
    return bias < GROWING or nats > cap - min(_NEAR_CAP, cap / 3)


def part_values(
    estimate: Callable[[Tensor], float], n: int, k: int, classes: Tensor | None = None
) -> dict[int, list[float]]:
    """Values of an estimate on disjoint parts of the sample: the split into m parts -> the m values.

    The examples are split at random, always the same way, into 2, 3, .. 10 parts. Every part has at least 4 (k + 1)
    examples. Splits with a value that is not finite are left out.

    Args:
        estimate: index -> the value on the examples of the (m,) index.
        n: Examples.
        k: Neighbours of the estimate.
        classes: (n,) class of each example. Then each class is split evenly.
    """
    order = _stratified_order(n, classes)
    found = {count: _values_of_parts(estimate, order, count) for count in range(2, _most_parts(n, k) + 1)}
    return {count: values for count, values in found.items() if values}


def stratified_parts(classes: Int[Tensor, " n"], count: int) -> Int[Tensor, " n"]:
    """Part 0..count-1 of each example; parts differ by at most one example, in size and in each class."""
    parts = torch.empty(len(classes), dtype=torch.long)
    parts[_stratified_order(len(classes), classes)] = torch.arange(len(classes)) % count
    return parts.to(classes.device)


def _stratified_order(n: int, classes: Tensor | None) -> Tensor:
    """A random order of n examples, always the same; with classes, class after class."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return order if classes is None else order[torch.argsort(classes.cpu()[order], stable=True)]


def _values_of_parts(
    estimate: Callable[[Tensor], float],
    order: Tensor,
    count: int,
    together: Callable[[list[Tensor]], list[float]] | None = None,
) -> list[float]:
    """The values on `count` parts of an order of the examples; none where one is not finite."""
    parts = [order[part::count] for part in range(count)]
    values = together(parts) if together else [estimate(part) for part in parts]
    return values if all(map(math.isfinite, values)) else []


def _most_parts(n: int, k: int) -> int:
    return min(_MOST_PARTS, 2 * n // fewest(k))
