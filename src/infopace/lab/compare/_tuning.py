"""Choosing a baseline's learning rate.

It is chosen by the final test metric, in runs with other seeds than those of the table. This favours the baselines:
without test data nobody could choose better. The paced methods never see a test metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from infopace.lab.compare._cells import Outcome
from infopace.lab.tasks import Metric


@dataclass(frozen=True)
class Tuned:
    """The learning rate that was chosen.

    Attributes:
        lr: The rate, None where every rate diverged or runs are missing.
        at_edge: Whether it is the smallest or the largest of the grid. A better one may lie outside.
        runs: Number of runs.
        seconds: Their duration together.
        missing: Runs that their machine or their code ended. Without them no rate is chosen.
    """

    lr: float | None
    at_edge: bool
    runs: int
    seconds: float
    missing: tuple[Outcome, ...] = ()


def choose(outcomes: Sequence[Outcome], grid: Sequence[float], metric: Metric) -> Tuned:
    """The rate with the best mean over its seeds, the smallest of equal ones. A rate that diverged once is out.

    No rate is chosen while a run is missing: its machine ended it, which says nothing about the rate.
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
