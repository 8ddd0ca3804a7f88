"""Choosing a baseline's learning rate, in two rounds.

All rates of the grid run with the first tuning seed; the best of them, the finalists, also with the others. A rate is
chosen by the final test metric, in runs with other seeds than those of the table. This favours the baselines: without
test data nobody could choose better. The paced methods never see a test metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from infopace.lab.compare._cells import Cell, Outcome
from infopace.lab.compare._config import ComparePlan, Entry
from infopace.lab.tasks import Metric


@dataclass(frozen=True)
class Tuned:
    """The learning rate that was chosen.

    Attributes:
        lr: The rate, None where every rate diverged or runs are missing.
        edge: Why a better one may lie outside the grid: it is the smallest or the largest, or the only one. Else empty.
        runs: Number of runs, those of both rounds.
        seconds: Their duration together.
        missing: Runs that their machine or their code ended. Without them no rate is chosen.
    """

    lr: float | None
    edge: str
    runs: int
    seconds: float
    missing: tuple[Outcome, ...] = ()


def tuning_cells(entry: Entry, plan: ComparePlan, outcomes: Sequence[Outcome]) -> list[Cell]:
    """The runs that choose the learning rate of a baseline, as far as they are known; none without a grid.

    More of them are known once the first round has ended, and once a finalist has diverged. No run is ever taken back,
    so a command that was killed between the two rounds goes on to the same runs.
    """
    first, *others = plan.tuning_seeds
    cells = [Cell(entry, lr, first) for lr in entry.grid]
    ended = [outcome for outcome in outcomes if outcome.cell.seed == first]
    if not others or len(ended) < len(cells) or any(outcome.lost for outcome in ended):
        return cells
    rates = finalists(outcomes, first, plan.finalists, plan.workload.metric)
    return [*cells, *(Cell(entry, lr, seed) for lr in rates for seed in others)]


def finalists(outcomes: Sequence[Outcome], seed: int, count: int, metric: Metric) -> list[float]:
    """The rates that run with all tuning seeds: the best `count` with this first seed, the smaller of equal ones.

    A rate that diverged with the first seed is none. For a finalist that diverges later the next one moves up, so that
    `count` rates remain while the grid has them; the one that diverged stays in the list, since its runs were made.
    """
    diverged = {outcome.cell.lr for outcome in outcomes if outcome.failure and not outcome.lost}
    sign = -1 if metric.higher_is_better else 1
    ranked = sorted(
        (sign * outcome.final, outcome.cell.lr)
        for outcome in outcomes
        if outcome.cell.seed == seed and outcome.final is not None and outcome.cell.lr is not None
    )
    rates: list[float] = []
    for _, lr in ranked:
        if len(set(rates) - diverged) == count:
            break
        rates.append(lr)
    return rates


def choose(outcomes: Sequence[Outcome], grid: Sequence[float], metric: Metric) -> Tuned:
    """The rate with the best mean over the tuning seeds, the smallest of equal ones. A rate that diverged once is out.

    A rate that did not run with every seed of these outcomes was no finalist, and is out too. No rate is chosen while a
    run is missing: its machine ended it, which says nothing about the rate.
    """
    missing = tuple(outcome for outcome in outcomes if outcome.lost)
    seeds = {outcome.cell.seed for outcome in outcomes}
    means: dict[float, float] = {}
    for lr in sorted(grid):
        finals = {o.cell.seed: o.final for o in outcomes if o.cell.lr == lr}
        reached = [final for final in finals.values() if final is not None]
        if seeds and finals.keys() == seeds and len(reached) == len(finals):
            means[lr] = fmean(reached)
    lr = list(means)[metric.best(list(means.values()))] if means and not missing else None
    seconds = sum(sum(outcome.seconds) for outcome in outcomes)
    return Tuned(lr, _edge(lr, grid), len(outcomes), seconds, missing)


def _edge(lr: float | None, grid: Sequence[float]) -> str:
    if lr is None or lr not in (min(grid), max(grid)):
        return ""
    return f"{lr:g} is at the edge of its grid" if len(grid) > 1 else f"{lr:g} is the only rate of its grid"
