"""Error bars from disjoint parts of the sample: the noise of a neighbour estimate, and the bias that it shows.

A bootstrap copies rows, and copies are ties, which neighbour counts take for structure. Disjoint parts are
honest samples of a smaller size; their spread, scaled by 1/n, gives the error of the whole
(Holmes & Nemenman, Phys. Rev. E 100, 022404, 2019), and the way their mean moves with their size its bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_MOST_PARTS = 10
# Neighbours of examples that leave no doubt about y gain ln 2 with twice the examples, which is a bias of -1.07. From
# this bias on most of the value is such growth, and there is no telling where it ends.
GROWING = -0.4
# Nearer than this to the most that n examples can show, neighbours in x and in y are almost the same.
_NEAR_CAP = 0.8
# n times the variance of KSG-1 and Ross grows slowly with n, as n^g: five laws give a g from -0.01 to 0.11 with this
# mean (results/part_laws.jsonl, studies/error_bar_law/run.py). Without it error bars are 8 % too short.
_GROWTH = 0.075


@dataclass(frozen=True)
class ErrorBar:
    """What the parts say of an estimate: standard error and bias in nats, and the error's degrees of freedom."""

    std_error: float = math.nan
    bias: float = math.nan
    freedom: float = math.nan


def subsampling_error_bar(
    estimate: Callable[[Tensor], float], whole: float, n: int, k: int, classes: Tensor | None = None
) -> ErrorBar:
    """Error bar of `whole`, the value of an estimate on all n rows; nan where they are too few to be split.

    `estimate(index)` gives the value on the rows of a (m,) index. The rows are split at random (always the
    same way) into 2, 3, .. 10 parts, class by class where there are labels. Each part is measured once.

    Standard error: with s2_m the variance over m parts of size n/m, and a variance of B size^(0.075 - 1),
    each s2_m gives B; B is their mean weighted by its m - 1 degrees of freedom. Splits share contrasts (both
    of 2 parts and of 4 contain that of the halves), so that these m - 1 are not added up: `freedom` is
    Satterthwaite's, exact for means of independent rows.

    Bias: neighbours are not at the point itself; that matters less as rows come closer, and more in parts,
    where they are farther apart. With a bias of b sqrt(m) in parts of n/m rows, b is the slope of the
    least-squares line through the mean over m parts against sqrt(m) - 1, the whole (m = 1) being one point of
    it like the others, since all of them are noisy. The power 1/2 is measured (part_laws.py: three classes in
    d = 10 and a normal d = 5 show -0.020 and -0.030 on average, and fall short by 0.019 and 0.033). The slope
    is a third as noisy as the value and moves against it: use it to widen an interval, not to correct the
    value.
    """
    parts = part_values(estimate, n, k, classes)
    if not parts or not math.isfinite(whole):
        return ErrorBar()
    return ErrorBar(_std_error(parts), _slope(parts, whole), _freedom(list(parts)))


def fewest(k: int) -> int:
    """Examples from which on there is an error bar: two parts of 4 (k + 1)."""
    return 8 * (k + 1)


def is_unresolved(nats: float, bias: float, n: int, k: int) -> bool:
    """Whether a neighbour estimate between two vectors is limited by n and not by the information.

    It cannot exceed psi(n) - psi(k), which it reaches where the k nearest in x are the k nearest in y. The value is
    near that, or the parts show that it grows with n as it then does.
    """
    psi = torch.digamma(torch.tensor([n, k], dtype=torch.float64))
    cap = float(psi[0] - psi[1])
    return bias < GROWING or nats > cap - min(_NEAR_CAP, cap / 3)


def part_values(
    estimate: Callable[[Tensor], float], n: int, k: int, classes: Tensor | None
) -> dict[int, list[float]]:
    """The values on each of 2, 3, .. 10 parts, where all are numbers."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    if classes is not None:
        order = order[torch.argsort(classes.cpu()[order], stable=True)]
    most = min(_MOST_PARTS, 2 * n // fewest(k))
    found = {parts: [estimate(order[part::parts]) for part in range(parts)] for parts in range(2, most + 1)}
    return {parts: values for parts, values in found.items() if all(map(math.isfinite, values))}


def _std_error(parts: dict[int, list[float]]) -> float:
    total = 0.0
    for count, values in parts.items():
        variance = float(torch.tensor(values, dtype=torch.float64).var())
        total += variance * count ** (_GROWTH - 1) * (count - 1)
    return math.sqrt(total / sum(count - 1 for count in parts))


def _slope(parts: dict[int, list[float]], whole: float) -> float:
    steps = [0.0, *(math.sqrt(count) - 1 for count in parts)]
    means = [whole, *(math.fsum(values) / count for count, values in parts.items())]
    centre = math.fsum(steps) / len(steps)
    along = math.fsum((step - centre) * (mean - whole) for step, mean in zip(steps, means, strict=True))
    return along / math.fsum((step - centre) ** 2 for step in steps)


def _freedom(counts: list[int]) -> float:
    """Degrees of freedom of the mean of the variances over splits into these counts of equal parts.

    Row i of the random order is in part i mod m. A function of i mod m is a sum of waves of frequency j/m;
    the phi(d) waves whose reduced fraction has the denominator d occur in every split that d divides, c_d of
    them, and are independent of each other. A sum of independent squares with weights c has
    (sum c)^2 / sum c^2 degrees of freedom (Satterthwaite 1946).
    """
    total, squares = 0, 0
    for d in range(2, max(counts) + 1):
        waves = sum(math.gcd(j, d) == 1 for j in range(1, d + 1))
        occurs = sum(count % d == 0 for count in counts)
        total += waves * occurs
        squares += waves * occurs**2
    return total**2 / squares
