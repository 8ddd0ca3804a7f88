"""Processes that take one job after another. A job that fails, or takes its process with it, is only its own loss."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from infopace.lab.compare._config import CompareConfig, resolve_comparison
from infopace.lab.compare._jobs import Job, perform
from infopace.lab.environment import keep_freed_memory
from infopace.lab.errors import InputError

# A process that has used threads or a GPU must not be forked. The fork server has only imported, once for all workers,
# what takes seconds: torch, and what torch itself imports at an optimizer's first step.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "torch._dynamo"])

_PATIENCE = 10.0  # seconds that a process without a job has to end


class _Worker:
    """A process and the job that it has in hand."""

    def __init__(self, config: CompareConfig, device: str) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.device = device
        self.job: Job | None = None
        self.process: ForkServerProcess = _CONTEXT.Process(
            target=_work, args=(config, device, theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # a process that is gone is missed where its answer is taken
            self.pipe.send(job)

    def take(self) -> str | None:
        """What went wrong with the job, None if it ended well; EOFError if the process is gone."""
        try:
            return self.pipe.recv()
        except OSError as error:  # gone in the middle of its answer
            raise EOFError from error

    def farewell(self) -> str:
        """How a process that is gone ended."""
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its process ended by itself, with exit code {code}"
        memory = ", which the system also sends for want of memory" if code == -signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{memory}"

    def stop(self) -> None:
        """End the process: at once where it is at work, else it ends itself, and leaves nothing for others to clear."""
        self.pipe.close()
        if self.job is None:
            self.process.join(_PATIENCE)
        self.process.terminate()
        self.process.join()


def run_jobs(
    config: CompareConfig, devices: Sequence[str], jobs: Sequence[Job]
) -> Iterator[tuple[Job, str | None]]:
    """Do the jobs, the first first, and yield each when it has ended, with what went wrong or None."""
    waiting = deque(jobs)
    workers = [_Worker(config, device) for device in devices[: len(waiting)]]
    try:
        for worker in workers:
            worker.give(waiting.popleft())
        while busy := {worker.pipe: worker for worker in workers if worker.job is not None}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # pyright: ignore[reportArgumentType] - wait gives back what it was given
                job = worker.job
                assert job is not None, "only busy workers are waited for"
                try:
                    failure = worker.take()
                    worker.job = None
                except EOFError:
                    failure = worker.farewell()
                    worker.stop()
                    workers.remove(worker)
                    worker = _Worker(config, worker.device) if waiting else None
                    if worker is not None:
                        workers.append(worker)
                if worker is not None and waiting:
                    worker.give(waiting.popleft())
                yield job, failure
    finally:
        for worker in workers:
            worker.stop()


def _work(config: CompareConfig, device: str, pipe: Connection[Any, Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    plan = resolve_comparison(config)  # a workload of a user's own file cannot be sent
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            perform(plan, job, device)
            failure = None
        except InputError as error:
            failure = str(error)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            failure = f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})"
        pipe.send(None if failure is None else " ".join(failure.split()))


def _end_with_parent() -> None:
    """A parent that is killed must not leave processes behind that hold the runs' folders."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
