"""The constants of the rule that finds its rate in the run, each moved down and up."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from infopace.lab import config
from infopace.lab.optimizers import AdamWRecipe
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload
from infopace.scheduler import _finding, _search


@dataclass(frozen=True)
class Change:
    """One constant at another value.

    Attributes:
        constant: Its name, with the default.
        value: The other value, in words.
        choices: Options of `infopace train`.
        policy: Fields of `HoldAndDecay`.
        parts: What is exchanged while the run takes place: (where, name, value).
    """

    constant: str
    value: str
    choices: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    parts: tuple[tuple[Any, str, Any], ...] = ()

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """Within it the constant has that value."""
        with contextlib.ExitStack() as stack:
            for where, name, value in self.parts:
                stack.enter_context(mock.patch.object(where, name, value))
            yield


def _probe_of(n: int) -> Change:
    def found(spec: str) -> Workload:
        return dataclasses.replace(find_workload(spec), probe_size=n)

    return Change("probe size, 500 to 1,500", f"{n:,}", parts=((config, "find_workload", found),))


def _module(constant: str, where: Any, *values: float) -> list[Change]:
    """A constant `name = default` of a module."""
    name = constant.partition(" ")[0]
    return [Change(constant, f"{value:g}", parts=((where, name, value),)) for value in values]


def _policy(constant: str, *values: float) -> list[Change]:
    """A constant `name = default` of `HoldAndDecay`."""
    name = constant.partition(" ")[0]
    return [Change(constant, f"{value:g}", policy={name: value}) for value in values]


def _trial(value: str, trials: float, least: int, most: int) -> Change:
    parts = (_finding, "_TRIALS", trials), (_finding, "_LEAST", least), (_finding, "_MOST", most)
    return Change("steps of a trial", value, parts=parts)


def _grid(a_decade: int, stride: int) -> Change:
    parts = ((_search, "_A_DECADE", a_decade), (_search, "STRIDE", stride))
    return Change("rates a decade = 4", f"{a_decade}", parts=parts)


# In the order of their importance.
CHANGES = (
    *map(_probe_of, (250, 2000)),
    *(Change("held out = 10 %", f"{share:.0%}", choices={"held_out": share}) for share in (0.02, 0.2)),
    *(
        Change("measured every epoch", f"every {every} steps", choices={"every": str(every)})
        for every in (10, 40, 160)
    ),
    *_module("SHARE = 0.1", _finding, 0.03, 0.3),
    _trial("a third", 21, 1, 43),
    _trial("three times", 7 / 3, 12, 384),
    *_policy("longest = 0.5", 0.2, 0.8),
    *_policy("z = 1.96", 0.62, 6.2),
    *_module("WARMUP = 0.5", _finding, 0.17, 1.0),
    *_module("_LAST_LOOK = 0.25", _finding, 0.08, 0.8),
    *_module("_LEFT = 0.5", _search, 0.17, 0.9),
    _grid(2, 1),
    _grid(8, 4),
    *(Change("starting rate = 0.001", f"{lr:g}", parts=((AdamWRecipe, "usual", lr),)) for lr in (1e-4, 1e-2)),
    *_policy("window = 0.5", 0.17, 1.0),
    *_policy("lowered = 0.5", 0.17, 0.9),
    *_policy("fewest = 4", 3, 12),
)
