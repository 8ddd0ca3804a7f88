"""Processes that stay, with a gloo process group between them, for tests of what several processes do together."""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import pickle
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist

# Seconds until a check counts as hung. The group gives up earlier, so that its own error is seen.
_GROUP_WAITS, _TEAM_WAITS = 20, 40

# The server imports once, for all processes, what takes seconds.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch.distributed.fsdp", "torch._dynamo", "infopace"])


@dataclass(frozen=True)
class Answer:
    """What a check returned on one process, or the error that it raised there."""

    value: Any = None
    error: Exception | None = None
    where: str = ""


class Team:
    """`count` processes of one group."""

    def __init__(self, count: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        meeting = f"file://{Path(self._folder.name) / 'meeting'}"
        ends = [_CONTEXT.Pipe() for _ in range(count)]
        self._pipes = [ours for ours, _ in ends]
        self._processes = [
            _CONTEXT.Process(target=_work, args=(meeting, rank, count, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(ends)
        ]
        for process in self._processes:
            process.start()
        for _, theirs in ends:
            theirs.close()

    def answers(self, check: Callable[..., Any], *args: Any) -> list[Answer]:
        """What `check(*args)` returned or raised on each process; EOFError where a process has ended."""
        for pipe in self._pipes:
            pipe.send((check, args))
        found = []
        for pipe in self._pipes:
            try:
                found.append(pipe.recv() if pipe.poll(_TEAM_WAITS) else Answer(error=TimeoutError("hung")))
            except EOFError as error:
                found.append(Answer(error=error))
        return found

    def run(self, check: Callable[..., Any], *args: Any) -> list[Any]:
        """What `check(*args)` returned on each process. Raises AssertionError where it raised."""
        found = self.answers(check, *args)
        failed = [f"rank {rank}: {one.where or one.error!r}" for rank, one in enumerate(found) if one.error]
        assert not failed, "\n".join(failed)
        return [one.value for one in found]

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(2)
            process.kill()
            process.join()
        self._folder.cleanup()


@contextlib.contextmanager
def team(count: int) -> Iterator[Team]:
    """A team for as long as the context is open."""
    found = Team(count)
    try:
        yield found
    finally:
        found.close()


def _work(meeting: str, rank: int, count: int, pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    wait = datetime.timedelta(seconds=_GROUP_WAITS)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count, timeout=wait)
    while True:
        try:
            check, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = Answer(check(*args))
        except Exception as error:
            answer = Answer(error=error, where=traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(answer))
        except Exception:  # an error that pickle cannot copy
            answer = Answer(error=RuntimeError(answer.where), where=answer.where)
        pipe.send(answer)
