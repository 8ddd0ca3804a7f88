"""A listener that passes a run's epochs on to trackers, which cannot stop the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from infopace.lab.config import Plan
from infopace.lab.progress import Listener
from infopace.lab.run_folder import Row
from infopace.lab.trackers._facts import Start, Tracker, config_of, epoch_of
from infopace.lab.trackers._tensorboard import TensorBoard
from infopace.lab.trackers._wandb_like import trackio, wandb
from infopace.range_test import Candidate

_TRACKERS: dict[str, Callable[[], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": wandb,
    "trackio": trackio,
}


def tracked(listener: Listener, names: Sequence[str]) -> Listener:
    """`listener` with the named trackers. Raises InputError if a tracker's package is missing."""
    trackers = {name: _TRACKERS[name]() for name in names}
    return Tracked(listener, trackers) if trackers else listener


class Tracked:
    """Passes everything on to a listener, and each epoch to trackers.

    The first exception of a tracker becomes one note, and the tracker is dropped. Trackers finish right after the last
    epoch, before the run's summary is written, so a finished run is logged completely. A run that ends before its last
    epoch is finished when it is closed.
    """

    def __init__(self, listener: Listener, trackers: dict[str, Tracker]) -> None:
        self._listener = listener
        self._trackers = dict(trackers)
        self._plan: Plan | None = None

    def candidate(self, trial: int, candidate: Candidate) -> None:
        self._listener.candidate(trial, candidate)

    def started(self, plan: Plan, folder: Path, n_parameters: int, rows: list[Row]) -> None:
        self._listener.started(plan, folder, n_parameters, rows)
        self._plan = plan
        start = Start(folder, config_of(plan, n_parameters))
        epochs = [epoch_of(row, plan.workload.metric.name) for row in rows]
        self._each(lambda tracker: tracker.start(start, epochs))
        if len(rows) > plan.epochs:
            self._finish()

    def batch(self, done: int, total: int) -> None:
        self._listener.batch(done, total)

    def epoch(self, row: Row) -> None:
        assert self._plan is not None, "started() comes first"
        epoch = epoch_of(row, self._plan.workload.metric.name)
        self._each(lambda tracker: tracker.log(epoch))
        if epoch.number == self._plan.epochs:
            self._finish()
        self._listener.epoch(row)

    def note(self, text: str) -> None:
        self._listener.note(text)

    def close(self) -> None:
        try:
            if self._plan is not None:
                self._finish()
        finally:
            self._listener.close()

    def _finish(self) -> None:
        self._each(lambda tracker: tracker.finish())
        self._trackers = {}

    def _each(self, what: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                what(tracker)
            except Exception as error:  # of its network, disk or server, which must not stop the run
                del self._trackers[name]
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                self.note(f"{name} failed and logs no more of this run: {reason}")
