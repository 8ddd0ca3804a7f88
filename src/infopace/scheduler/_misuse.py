"""Calls of a scheduler that do not pace anything: each is warned of once."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Sequence
from typing import Any

# After so many calls of step, each after so many training steps, observe is missing. A call after one training step
# alone may be that of a loop that calls step after every batch.
_CALLS, _STEPS = 3, 2


class Misuse(enum.Enum):
    """What a scheduler is warned of, with the remedy."""

    TWICE = (
        "observe() was called without an optimizer step since the last call, which counts as no epoch; "
        "call it once, at the end of an epoch"
    )
    NEVER = (
        "step() was called {calls} times after training steps, and observe() never: "
        "the learning rate stays as it is; call observe() before step()"
    )
    CHANGED = (
        "other code, another scheduler perhaps, has changed the learning rate: {found:.4g} found in parameter group "
        "{group}, {applied:.4g} set; SequentialLR joins two schedulers"
    )


class Warner:
    """Knows what was warned of already, and how often `step` was called without `observe`."""

    def __init__(self) -> None:
        self._said: set[Misuse] = set()
        self.begin()

    def begin(self) -> None:
        """The run begins, or goes on from a state."""
        self._observed, self._calls, self._steps = False, 0, 0

    def observed(self) -> None:
        """`observe` was called."""
        self._observed, self._steps = True, 0

    def stepped(self, steps: int) -> None:
        """`step` was called, `steps` training steps after the last observation."""
        self._calls += not self._observed and steps - self._steps >= _STEPS
        self._steps = steps
        if self._calls >= _CALLS:
            self.say(Misuse.NEVER, calls=self._calls)

    def compare(self, found: Sequence[float] | None, applied: Sequence[float] | None) -> None:
        """An epoch is trained at the rates that `step` has set for it, if it has set any."""
        for group, (lr, wanted) in enumerate(zip(found or (), applied or (), strict=False)):
            if lr != wanted:
                self.say(Misuse.CHANGED, found=lr, group=group, applied=wanted)

    def say(self, misuse: Misuse, **values: Any) -> None:
        """Warn, if not done before."""
        if misuse not in self._said:
            self._said.add(misuse)
            warnings.warn(misuse.value.format(**values), UserWarning, stacklevel=3)
