"""Progress of a long measurement: a line on stderr from time to time, none if it is quick."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

# Seconds before the first line, and between lines.
_FIRST, _EVERY = 3.0, 10.0


class Waiting:
    """Reports the progress of a measurement of n examples. A context manager: no line comes after its end."""

    def __init__(
        self,
        n: int,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        first: float | None = None,
    ) -> None:
        first = _FIRST if first is None else first
        self._n, self._say, self._clock = n, say or _to_stderr, clock
        self._began: float | None = None
        self._next = clock() + first
        # The estimate itself has no callback, so a timer prints the first line.
        self._timer = threading.Timer(first, self._say, [f"measuring {n} examples"])
        self._timer.daemon = True

    def __enter__(self) -> Waiting:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()  # a line that is being written is completed

    def permutation(self, done: int, total: int) -> None:
        """`done` of `total` permutations are measured; 0 at the start."""
        now = self._clock()
        if self._began is None:
            self._timer.cancel()
            self._began = now
        if now < self._next or done == 0:
            return
        left = (now - self._began) / done * (total - done)
        self._say(f"permutation {done} of {total} of {self._n} examples, about {left:.0f} s left")
        self._next = now + _EVERY


def _to_stderr(text: str) -> None:
    print(f"infopace: {text}", file=sys.stderr, flush=True)
