"""What runs a comparison's jobs, leaves out those that are done, and tells how each ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infopace.lab.compare._cells import Bounds, Cell, Outcome, outcome
from infopace.lab.compare._config import CompareConfig, ComparePlan
from infopace.lab.compare._jobs import Job, RangeTestJob, RunJob, drop_checkpoints, found_bounds
from infopace.lab.compare._known import known_outcomes
from infopace.lab.compare._workers import run_jobs

Say = Callable[[str], None]


class Bench:
    """Runs jobs and remembers what went wrong with them, for as long as the command lasts.

    A run that diverged would diverge again and is not tried again; what was lost for another reason is, by the next
    command.
    """

    def __init__(self, config: CompareConfig, plan: ComparePlan, inputs: Mapping[str, Any], say: Say) -> None:
        self._config, self._plan, self._inputs, self._say = config, plan, inputs, say
        self._failures: dict[Job, str] = {}
        self._known = known_outcomes(plan, inputs)

    def run(self, jobs: Sequence[Job], what: str) -> None:
        """Do those of the jobs that are not done."""
        missing = [job for job in jobs if not self._done(job)]
        for job in jobs:  # a kill may have come between the end of a run and the end of its checkpoints
            if isinstance(job, RunJob) and job not in missing:
                drop_checkpoints(job.cell.folder(self._plan.folder))
        if jobs:
            self._say(f"{what}: {len(jobs)} jobs, {len(jobs) - len(missing)} of them done already")
        width = len(str(len(missing)))
        ended = run_jobs(self._config, self._plan.devices, missing)
        for number, (job, failure) in enumerate(ended, 1):
            if failure is not None:
                self._failures[job] = failure
            self._say(f"{number:{width}}/{len(missing)}  {job.title}  {self._ending(job, failure)}")

    def outcomes(self, cells: Sequence[Cell]) -> list[Outcome]:
        """How the runs ended; one that never started is left out."""
        failures = {job.cell: text for job, text in self._failures.items() if isinstance(job, RunJob)}
        found = []
        for cell in cells:
            ended = self._ended(cell)
            if ended is None and cell in failures:
                ended = Outcome(cell, (), (), failures[cell], lost=True)
            if ended is not None:
                found.append(ended)
        return found

    def range_test_failure(self) -> str:
        """What went wrong with the range test other than that it gave no bounds; empty if nothing."""
        return self._failures.get(RangeTestJob(), "")

    def _done(self, job: Job) -> bool:
        if isinstance(job, RangeTestJob):
            return found_bounds(self._plan.folder) is not None
        return self._ended(job.cell) is not None

    def _ended(self, cell: Cell) -> Outcome | None:
        return outcome(cell, self._plan.folder, self._inputs) or self._known.get(
            (cell.name, cell.lr, cell.seed)
        )

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
    """Bounds in a line."""
    return f"[{bounds['lr_min']:.3g}, {bounds['lr_max']:.3g}] from {bounds['lr_top']:.3g}"
