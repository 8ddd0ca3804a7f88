"""Jobs in processes of their own: on this machine, or through Slurm. A job whose process is killed is lost alone.

Comparisons and range tests use it. `on_this_machine` keeps one process for each slot and gives it job after job.
`concurrent.futures` could do this with a pool of one process for each slot. It would not say which signal ended a
process, though, and before Python 3.14 it cannot stop a job at once on Ctrl-C. A new process for each job, as submitit
starts them, would import torch for every short run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from infopace import RangeTestError
from infopace.lab.environment import keep_freed_memory
from infopace.lab.errors import InputError

Job = TypeVar("Job")
# Called once in a worker, with its slot: gives what does one job there.
Prepare = Callable[[str], Callable[[Job], None]]

# A process that has used threads or a GPU must not be forked. The fork server has only imported, once for all workers,
# what takes seconds: the training loop, and what torch itself imports at an optimizer's first step.
if "forkserver" in multiprocessing.get_all_start_methods():
    _CONTEXT = multiprocessing.get_context("forkserver")
    _CONTEXT.set_forkserver_preload(["infopace.lab.run", "infopace.lab.bounds", "torch._dynamo"])
else:
    _CONTEXT = multiprocessing.get_context("spawn")

_PATIENCE = 10.0  # seconds that a process without a job has to end
_SLURM_MINUTES = 24 * 60


def on_this_machine(
    jobs: Sequence[Job], slots: Sequence[str], prepare: Prepare[Job]
) -> Iterator[tuple[Job, str | None]]:
    """Do the jobs in this order, one at a time in each slot, and yield each with its failure (None: it ended well).

    A failure is one line. A job whose process is killed is reported, and the others go on in a new process. Closing the
    iterator stops everything at once, and so do Ctrl-C and the death of this process.

    Args:
        jobs: What to do; each is sent to a worker.
        slots: A worker for each, known by this text: 'cpu', 'cuda:1'.
        prepare: Called with the slot in each worker; a function that can be pickled.
    """
    waiting = deque(jobs)
    workers = [_Worker(prepare, slot) for slot in slots[: len(waiting)]]
    try:
        for worker in workers:
            worker.give(waiting.popleft())
        while busy := {worker.pipe: worker for worker in workers if worker.busy}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # pyright: ignore[reportArgumentType] - wait gives back what it was given
                job = worker.job
                try:
                    failure = worker.take()
                except EOFError:
                    failure = worker.exit_reason()
                    worker.stop()
                    workers.remove(worker)
                    worker = _Worker(prepare, worker.slot) if waiting else None
                    if worker is not None:
                        workers.append(worker)
                if worker is not None and waiting:
                    worker.give(waiting.popleft())
                yield job, failure
    finally:
        for worker in workers:
            worker.stop()


def through_submitit(
    jobs: Sequence[Job],
    perform: Callable[[Job], None],
    logs: Path,
    name: str,
    *,
    cluster: str = "slurm",
    gpus: int = 0,
    cores: int = 1,
) -> Iterator[tuple[Job, str | None]]:
    """Submit all jobs at once, one process each, and yield each with its failure (None: it ended well).

    Raises InputError where submitit or the cluster is missing.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError(f'{cluster} jobs need submitit: pip install "infopace[slurm]"') from error
    try:
        executor = submitit.AutoExecutor(logs, cluster=cluster)
    except RuntimeError as error:
        raise InputError(f"{cluster} cannot start jobs here: {' '.join(str(error).split())}") from error
    executor.update_parameters(timeout_min=_SLURM_MINUTES, gpus_per_node=gpus, cpus_per_task=cores, name=name)
    submitted = [(job, executor.submit(perform, job)) for job in jobs]
    for job, future in submitted:
        # To ask for the exception waits for the end. A process that was killed has one, too.
        lost = future.exception() is not None
        yield job, f"see {future.paths.stderr}" if lost else None


class _Worker(Generic[Job]):
    """A process and the job that it has in hand."""

    def __init__(self, prepare: Prepare[Job], slot: str) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.slot = slot
        self.busy = False
        self.process = _CONTEXT.Process(target=_work, args=(prepare, slot, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Begin a job."""
        self.job, self.busy = job, True
        with contextlib.suppress(OSError):  # a process that has ended is noticed where its answer is taken
            self.pipe.send(job)

    def take(self) -> str | None:
        """The failure of the job, None if it ended well; EOFError if the process has ended."""
        try:
            failure = self.pipe.recv()
        except OSError as error:  # ended in the middle of its answer
            raise EOFError from error
        self.busy = False
        return failure

    def exit_reason(self) -> str:
        """How a process that has ended did so."""
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its process ended by itself, with exit code {code}"
        name = signal.Signals(-code).name
        memory = ", which the system also sends when memory is short" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"

    def stop(self) -> None:
        """End the process: at once where it has a job, else by itself, so that it clears up what it shares."""
        self.pipe.close()
        if not self.busy:
            self.process.join(_PATIENCE)
        self.process.terminate()
        self.process.join()


def _work(prepare: Prepare[Any], slot: str, pipe: Connection[Any, Any]) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends Ctrl-C to all; the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    perform = prepare(slot)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            perform(job)
            failure = None
        except (InputError, RangeTestError) as error:
            failure = str(error)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            failure = f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})"
        pipe.send(None if failure is None else " ".join(failure.split()))


def _end_with_parent() -> None:
    """Workers of a parent that was killed must not go on: they hold the folders of their runs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
