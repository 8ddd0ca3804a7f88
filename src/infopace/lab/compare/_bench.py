"""Runs the jobs of a comparison that are not done yet, and says how each ended."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infopace.lab.compare._cells import Bounds, Cell, Outcome, outcome
from infopace.lab.compare._config import CompareConfig, ComparePlan, Entry
from infopace.lab.compare._jobs import Job, RangeTestJob, RunJob, drop_checkpoints, found_bounds, performer
from infopace.lab.compare._known import key_of, known_outcomes
from infopace.lab.farm import on_this_machine

Say = Callable[[str], None]


class Bench:
    """Runs jobs, and keeps their failures until the command ends.

    A run that diverged would diverge again, so it is not repeated. A run that was lost for another reason is repeated
    by the next command.
    """

    def __init__(self, config: CompareConfig, plan: ComparePlan, inputs: Mapping[str, Any], say: Say) -> None:
        self._config, self._plan, self._inputs, self._say = config, plan, inputs, say
        self._failures: dict[Job, str] = {}
        self._known = known_outcomes(plan, inputs)

    def run(self, jobs: Sequence[Job], what: str) -> None:
        """Do the jobs that are not done yet."""
        missing = [job for job in jobs if not self._done(job)]
        # A kill may have come after the end of a run and before its checkpoints were removed.
        for job in jobs:
            if isinstance(job, RunJob) and job not in missing:
                drop_checkpoints(job.cell.folder(self._plan.folder))
        if jobs:
            self._say(f"{what}: {len(jobs)} jobs, {len(jobs) - len(missing)} of them done already")
        width = len(str(len(missing)))
        ended = on_this_machine(missing, self._plan.devices, functools.partial(performer, self._config))
        for number, (job, failure) in enumerate(ended, 1):
            if failure is not None:
                self._failures[job] = failure
            self._say(f"{number:{width}}/{len(missing)}  {job.title}  {self._ending(job, failure)}")

    def outcomes(self, cells: Sequence[Cell]) -> list[Outcome]:
        """How the runs ended. A run that never started is left out."""
        failures = {job.cell: text for job, text in self._failures.items() if isinstance(job, RunJob)}
        found = []
        for cell in cells:
            ended = self._ended(cell)
            if ended is None and cell in failures:
                ended = Outcome(cell, (), (), failures[cell], lost=True)
            if ended is not None:
                found.append(ended)
        return found

    def known_with_other_epochs(self, entry: Entry) -> dict[int, int]:
        """How many known runs of this method have another number of epochs than it has now, by that number."""
        return dict(
            Counter(
                epochs
                for name, _, _, epochs in self._known
                if name == entry.name and epochs is not None and epochs != entry.epochs
            )
        )

    def range_test_failure(self) -> str:
        """Why the range test did not end; empty if it ended, with bounds or without."""
        return self._failures.get(RangeTestJob(), "")

    def _done(self, job: Job) -> bool:
        if isinstance(job, RangeTestJob):
            return found_bounds(self._plan.folder) is not None
        return self._ended(job.cell) is not None

    def _ended(self, cell: Cell) -> Outcome | None:
        return outcome(cell, self._plan.folder, self._inputs) or self._known.get(key_of(cell))

    def _ending(self, job: Job, failure: str | None) -> str:
        if failure is not None:
            return f"failed: {failure}"
        if isinstance(job, RangeTestJob):
            found = found_bounds(self._plan.folder)
            assert found is not None, "the job has ended well"
            return found.failure or f"{bounds_text(found.bounds)}  {found.seconds:.1f} s"
        ended = self._ended(job.cell)
        assert ended is not None, "the job has ended well"
        if ended.final is None:
            return ended.failure
        return f"{self._plan.workload.metric.show(ended.final)}  {sum(ended.seconds):.1f} s"


def bounds_text(bounds: Bounds) -> str:
    """Bounds in one line."""
    return f"[{bounds['lr_min']:.3g}, {bounds['lr_max']:.3g}] from {bounds['lr_top']:.3g}"
