"""Scores as AlgoPerf's self-tuning ruleset has them: time to a target, performance profiles, the area under them.

Performance profiles are those of Dolan and Moré (2002); the ruleset is that of Dahl et al. (2023). Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

# The largest ratio of a profile, as in AlgoPerf.
MOST = 4.0
# By how much a target is relaxed, as a share of its value.
RELAXED = (0.0, 0.01, 0.02, 0.05, 0.1)


def relaxed(target: float, share: float, higher_is_better: bool) -> float:
    """A target that is easier by a share of its value: t (1 - s) where higher is better, else t (1 + s).

    >>> relaxed(0.8, 0.05, higher_is_better=True)
    0.76
    """
    return target - abs(target) * share if higher_is_better else target + abs(target) * share


def cost_to_reach(
    values: Sequence[float], costs: Sequence[float], target: float, higher_is_better: bool, limit: float
) -> float:
    """What a run had cost when its value first reached the target; infinity if it never did, or beyond the limit.

    Args:
        values: (n,) of the validation metric, after each epoch.
        costs: (n,) what had been spent by then, ascending.
        target: The value to reach.
        higher_is_better: Whether the metric is to rise.
        limit: The largest cost that counts.

    >>> cost_to_reach([0.5, 0.8, 0.7], [1.0, 2.0, 3.0], 0.8, True, 3.0)
    2.0
    """
    for value, cost in zip(values, costs, strict=True):
        if cost > limit:
            return math.inf
        if value >= target if higher_is_better else value <= target:
            return cost
    return math.inf


def over_seeds(costs: Sequence[float]) -> float:
    """The median over seeds; a seed that never reached the target counts as infinity.

    >>> over_seeds([1.0, math.inf, 3.0])
    3.0
    """
    return median(costs) if costs else math.inf


def ratios(costs: Mapping[str, Sequence[float]], scored: Sequence[str]) -> dict[str, list[float]]:
    """Each method's cost on each workload over the least cost of the scored methods there.

    Args:
        costs: Of each method, one cost a workload; infinity where the target was not reached.
        scored: The methods among which the best is looked for. The others are references, each compared with the best
            of these and of itself.
    """
    number = len(next(iter(costs.values()), ()))
    best = [min((costs[name][i] for name in scored), default=math.inf) for i in range(number)]
    return {
        name: [c / min(b, c) if c < math.inf else math.inf for c, b in zip(own, best, strict=True)]
        for name, own in costs.items()
    }


def profile(own: Sequence[float], tau: float) -> float:
    """rho(tau): the share of the workloads on which a method's ratio is at most tau.

    >>> profile([1.0, 2.0, math.inf, 1.5], 1.5)
    0.5
    """
    return sum(ratio <= tau for ratio in own) / len(own)


def area(own: Sequence[float], most: float = MOST) -> float:
    """The area under the profile from 1 to `most`, over its width: 1 for a method that is first everywhere.

    The integral of rho is the mean of max(0, most - ratio), so it needs no grid.

    >>> area([1.0, math.inf])
    0.5
    """
    return sum(max(0.0, most - ratio) for ratio in own) / (len(own) * (most - 1.0))
