"""Which constants would have changed a decision of a run: they are asked beside the default, at each decision.

A run in which no decision would have been another is the same run, bit for bit. It need not be made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest import mock

from infopace import HoldAndDecay
from infopace.policies import Decision, Observed
from infopace.scheduler import _finding
from studies.constants_in_the_run.constants import CHANGES, Change

# Constants of the policy. One that moves the end of every hold changes all runs.
ASKED = tuple(change for change in CHANGES if change.policy and "longest" not in change.policy)
# Constants that only decide what a collapsed trial is.
LEFT = tuple(change for change in CHANGES if change.constant.startswith("_LEFT"))
CAN_REPLAY = (*ASKED, *LEFT)


@dataclass(frozen=True)
class _Asking(HoldAndDecay):
    """The default, which asks the changed rules too, and notes the first epoch in which one decides otherwise."""

    noted: ClassVar[dict[str, int]] = {}

    def decide(self, observed: Observed) -> Decision:
        decision = super().decide(observed)
        for change in ASKED:
            other = HoldAndDecay(self.epochs, **change.policy).decide(observed)
            if _what(other) != _what(decision):
                self.noted.setdefault(key_of(change), observed.epoch)
        return decision


def _what(decision: Decision) -> tuple[Any, ...]:
    """All of a decision but its reason."""
    return decision.lr, decision.phase, decision.back, decision.watched


def key_of(change: Change) -> str:
    """The name of a change in a row."""
    return f"{change.constant}: {change.value}"


@contextlib.contextmanager
def asking(epochs: int) -> Iterator[tuple[HoldAndDecay, dict[str, int]]]:
    """The default policy, and what it notes within: the first epoch that each change would have altered."""
    noted = dict[str, int]()

    def asked(name: str) -> Callable[..., Any]:
        usual = getattr(_finding, name)

        def ask(*arguments: Any) -> Any:
            found = usual(*arguments)
            for change in LEFT:
                with change.made():
                    if usual(*arguments) != found:
                        noted.setdefault(key_of(change), 0)
            return found

        return ask

    with contextlib.ExitStack() as stack:
        for name in ("next_place", "chosen"):
            stack.enter_context(mock.patch.object(_finding, name, asked(name)))
        stack.enter_context(mock.patch.object(_Asking, "noted", noted))
        yield _Asking(epochs), noted
