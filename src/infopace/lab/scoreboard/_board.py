"""From rows to scores: the tuned baselines set a target on each workload, and every method is timed to it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import Any

from infopace.lab.compare import holm, interval, paired_p
from infopace.lab.scoreboard._cells import RangeCell, Row, RunCell, key_of
from infopace.lab.scoreboard._score import RELAXED, area, cost_to_reach, over_seeds, ratios, relaxed
from infopace.lab.scoreboard._suite import LIMIT, Contestant, Member, Suite
from infopace.lab.tasks import Metric

Key = tuple[str, str, float | None, int]


@dataclass(frozen=True)
class Curve:
    """One run: its values after each epoch, and what it had cost by then, in budgets of the workload.

    Attributes:
        costs: Range test, steps, and measuring as its share of the time.
        before: Of these, the range test.
        validation: The validation metric.
        test: The test metric.
        measuring: Time for measuring over time for training.
        failure: Why the run did not finish; empty if it did.
    """

    costs: tuple[float, ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]
    before: float = 0.0
    measuring: float = 0.0
    failure: str = ""


@dataclass(frozen=True)
class Final:
    """The final test values of a method on a workload, beside those of the best tuned baseline.

    Attributes:
        values: Of each seed that finished.
        interval: 95 % interval of their mean.
        p: Paired test against the best tuned baseline, after Holm's correction.
        failure: Why a seed did not finish; empty if all did.
    """

    values: tuple[float, ...]
    interval: tuple[float, float] | None
    p: float | None
    failure: str

    @property
    def mean(self) -> float | None:
        """The mean over seeds, None without any."""
        return fmean(self.values) if self.values else None


class Board:
    """The scores of a suite.

    Args:
        suite: Workloads and methods.
        seeds: Of the runs that are scored.
        tuning_seeds: Of the runs that choose a learning rate.
        rows: The rows of range tests and runs. What is missing is left out.
        clock: Whether measuring counts by its share of the time. Without it a score does not depend on the machine.
        tests: Whether range tests count.
    """

    def __init__(
        self,
        suite: Suite,
        seeds: Sequence[int],
        tuning_seeds: Sequence[int],
        rows: Iterable[Row],
        *,
        clock: bool = True,
        tests: bool = True,
    ) -> None:
        self.suite, self.seeds, self.tuning_seeds = suite, tuple(seeds), tuple(tuning_seeds)
        self._rows: dict[Key, Row] = {key_of(row): row for row in rows}
        self._clock, self._tests = clock, tests

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The workloads that have a target."""
        return tuple(member for member in self.suite.members if self.best_tuned(member) is not None)

    def metric(self, member: Member) -> Metric:
        """The metric of a workload."""
        return member.workload.metric

    # The rates of the tuned baselines

    def rates(self, member: Member, contestant: Contestant) -> dict[float, list[float]]:
        """The final validation values at each rate, one for each tuning seed that has ended; not at one that failed."""
        found: dict[float, list[float]] = {}
        for lr in sorted(contestant.grid):
            rows = [self._rows.get(RunCell(member, contestant, lr, seed).key) for seed in self.tuning_seeds]
            ended = [row for row in rows if row is not None]
            if ended and not any(row["failure"] for row in ended):
                found[lr] = [row["validation"][-1] for row in ended]
        return found

    def finalists(self, member: Member, contestant: Contestant, number: int) -> list[float]:
        """The best rates by the first tuning seed."""
        rates = self.rates(member, contestant)
        sign = -1 if self.metric(member).higher_is_better else 1
        return sorted(rates, key=lambda lr: (sign * rates[lr][0], lr))[:number]

    def rate(self, member: Member, contestant: Contestant) -> float | None:
        """The rate with the best mean over the tuning seeds, of those that were run with all of them."""
        whole = {
            lr: fmean(values)
            for lr, values in self.rates(member, contestant).items()
            if len(values) == len(self.tuning_seeds)
        }
        if not whole:
            return None
        return list(whole)[self.metric(member).best(list(whole.values()))]

    # Runs

    def cell(self, member: Member, contestant: Contestant, seed: int) -> RunCell | None:
        """The run that is scored; None where no rate of a tuned baseline is chosen yet."""
        if not contestant.grid:
            return RunCell(member, contestant, None, seed)
        lr = self.rate(member, contestant)
        return None if lr is None else RunCell(member, contestant, lr, seed)

    def range_test(self, cell: RangeCell) -> Row | None:
        """The row of a range test that has ended."""
        return self._rows.get(cell.key)

    def has(self, cell: RunCell | RangeCell) -> bool:
        """Whether a cell has ended. The run after a range test without an answer needs none."""
        if isinstance(cell, RunCell) and cell.before is not None:
            tested = self.range_test(cell.before)
            if tested is not None and tested["failure"]:
                return True
        return cell.key in self._rows

    def curve(self, member: Member, contestant: Contestant, seed: int) -> Curve | None:
        """A run that has ended; None before."""
        cell = self.cell(member, contestant, seed)
        if cell is None:
            return None
        tested = None if cell.before is None else self.range_test(cell.before)
        if tested is not None and tested["failure"]:
            return Curve((), (), (), failure=tested["failure"])
        row = self._rows.get(cell.key)
        if row is None or (cell.before is not None and tested is None):
            return None
        return self._curve(row, tested)

    def _curve(self, row: Row, tested: Row | None) -> Curve:
        steps = [*itertools.accumulate(row["batches"])]
        train, measure = ([*itertools.accumulate(row[name])] for name in ("train", "measure"))
        shares = [m / t if self._clock and t else 0.0 for m, t in zip(measure, train, strict=True)]
        before = 0.0
        if tested is not None and self._tests:
            before = float(tested["steps"])
            if self._clock and steps and train[-1]:
                seconds = tested["seconds"] / tested.get("load", 1.0)
                before = max(before, seconds * steps[-1] / (train[-1] / row.get("load", 1.0)))
        budget = row["inputs"]["steps"]
        costs = [(before + n * (1.0 + share)) / budget for n, share in zip(steps, shares, strict=True)]
        return Curve(
            tuple(costs),
            tuple(row["validation"]),
            tuple(row["test"]),
            before / budget,
            shares[-1] if shares else 0.0,
            row["failure"],
        )

    def curves(self, member: Member, contestant: Contestant) -> list[Curve]:
        """The runs of all seeds that have ended."""
        found = (self.curve(member, contestant, seed) for seed in self.seeds)
        return [curve for curve in found if curve is not None]

    # Targets and scores

    def best_tuned(self, member: Member) -> tuple[Contestant, float] | None:
        """The best tuned baseline by the median of its final validation values, and this median; the target."""
        metric, found = self.metric(member), list[tuple[Contestant, float]]()
        for contestant in self.suite.tuned:
            finals = [curve.validation[-1] for curve in self.curves(member, contestant) if not curve.failure]
            if finals:
                found.append((contestant, median(finals)))
        return found[metric.best([value for _, value in found])] if found else None

    def cost(self, member: Member, contestant: Contestant, share: float = 0.0) -> float | None:
        """The median cost to reach the target, relaxed by a share; in budgets. None where no run has ended."""
        best, curves = self.best_tuned(member), self.curves(member, contestant)
        if best is None or not curves:
            return None
        higher = self.metric(member).higher_is_better
        target = relaxed(best[1], share, higher)
        return over_seeds(
            [cost_to_reach(curve.validation, curve.costs, target, higher, LIMIT) for curve in curves]
        )

    def areas(self, share: float = 0.0) -> dict[str, float]:
        """The area under the profile of each method; of the tuned baselines too, which cost their tuning besides."""
        return {name: area(own) for name, own in self.profiles(share).items()}

    def profiles(self, share: float = 0.0) -> dict[str, list[float]]:
        """Each method's ratio to the best method on each workload. A method without a run there counts as infinite."""
        everyone = (*self.suite.contestants, *self.suite.tuned)
        costs = {
            contestant.name: [
                math.inf if (cost := self.cost(member, contestant, share)) is None else cost
                for member in self.members
            ]
            for contestant in everyone
            if any(self.curves(member, contestant) for member in self.members)
        }
        scored = [contestant.name for contestant in self.suite.contestants if contestant.name in costs]
        return ratios(costs, scored) if self.members else {}

    # Final values

    def finals(self, member: Member) -> dict[str, Final]:
        """The final test values on a workload, each method tested against the best tuned baseline."""
        best = self.best_tuned(member)
        values = {
            contestant.name: self._final_values(member, contestant)
            for contestant in (*self.suite.contestants, *self.suite.tuned)
        }
        against = {} if best is None else values[best[0].name]
        raw: list[float | None] = []
        for name, own in values.items():
            common = sorted(own.keys() & against.keys())
            tested = best is not None and name != best[0].name
            pair = [own[seed] for seed in common], [against[seed] for seed in common]
            raw.append(paired_p(*pair) if tested else None)
        return {
            name: Final(tuple(own.values()), interval(list(own.values())), p, self._failure(member, name))
            for (name, own), p in zip(values.items(), holm(raw), strict=True)
        }

    def _final_values(self, member: Member, contestant: Contestant) -> dict[int, float]:
        """The test value of each seed at the end of the run; of a run without a plan, at the end of the budget."""
        found = {}
        for seed in self.seeds:
            curve = self.curve(member, contestant, seed)
            if curve is not None and not curve.failure and curve.test:
                last = len(curve.test) if contestant.budgets != LIMIT else member.epochs
                found[seed] = curve.test[min(last, len(curve.test)) - 1]
        return found

    def _failure(self, member: Member, name: str) -> str:
        contestant = next(c for c in (*self.suite.contestants, *self.suite.tuned) if c.name == name)
        return next((c.failure for c in self.curves(member, contestant) if c.failure), "")

    def summary(self) -> dict[str, Any]:
        """The scores as plain data, for `infopace report`."""
        areas, ratios_of = [self.areas(share) for share in RELAXED], self.profiles()
        workloads = []
        for member in self.members:
            best = self.best_tuned(member)
            assert best is not None, "the members have targets"
            shown = self.metric(member).show(best[1])
            workloads.append({"name": member.name, "target": shown, "set_by": best[0].name})
        methods = [
            {
                "name": contestant.name,
                "tuned": bool(contestant.grid),
                "areas": [found[contestant.name] for found in areas],
                "ratios": [_or_none(ratio) for ratio in ratios_of[contestant.name]],
                "costs": [_or_none(self.cost(member, contestant)) for member in self.members],
            }
            for contestant in self.ranked()
        ]
        relaxed_by = list(RELAXED)
        return {
            "suite": self.suite.name,
            "seeds": len(self.seeds),
            "relaxed": relaxed_by,
            "workloads": workloads,
            "methods": methods,
        }

    def ranked(self) -> list[Contestant]:
        """The methods that were run, the largest area first, then the tuned baselines."""
        areas = self.areas()
        scored = [contestant for contestant in self.suite.contestants if contestant.name in areas]
        references = [contestant for contestant in self.suite.tuned if contestant.name in areas]
        return [*sorted(scored, key=lambda contestant: -areas[contestant.name]), *references]


def _or_none(value: float | None) -> float | None:
    """JSON has no infinity."""
    return None if value is None or math.isinf(value) else value
