"""Choosing a baseline's learning rate.

The choice is by the final test metric of runs with seeds of their own. That is in the baselines' favour: who has only
training data would choose no better. The paced methods see no test metric at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from infopace.lab.compare._cells import Outcome
from infopace.lab.workload import Metric


@dataclass(frozen=True)
class Tuned:
    """The learning rate that was chosen.

    Attributes:
        lr: The rate, None where every one diverged or runs are missing.
        at_edge: Whether it is the smallest or the largest of all: a better one may lie outside.
        runs: How many runs it took.
        seconds: How long they took together.
        missing: Runs that their machine or their code ended: without them nothing is chosen.
    """

    lr: float | None
    at_edge: bool
    runs: int
    seconds: float
    missing: tuple[Outcome, ...] = ()


def choose(outcomes: Sequence[Outcome], grid: Sequence[float], metric: Metric) -> Tuned:
    """The rate with the best mean over its seeds; one that diverged with any seed is out. Of equals the smallest.

    None is chosen while a run is missing: what its machine ended says nothing of its learning rate.
    """
    missing = tuple(outcome for outcome in outcomes if outcome.lost)
    means: dict[float, float] = {}
    for lr in sorted(grid):
        finals = [outcome.final for outcome in outcomes if outcome.cell.lr == lr]
        if finals and None not in finals:
            means[lr] = fmean(final for final in finals if final is not None)
    lr = list(means)[metric.best(list(means.values()))] if means and not missing else None
    seconds = sum(sum(outcome.seconds) for outcome in outcomes)
    return Tuned(lr, lr in (min(grid), max(grid)), len(outcomes), seconds, missing)
