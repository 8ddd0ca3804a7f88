"""The unit of time of a run: how often is measured, and what one unit's measurements come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from infopace._checks import shown, warn, whole

# A unit of time has about so many optimizer steps. After 32 steps the best learning rate stands out from others, after
# 128 to a factor of two (measured for this project). Between is the shortest time in which a rule can see anything.
STEPS = 40
# "auto": the share of the training time that measuring takes at most. The first measurement takes longer than later
# ones, so this is rarely reached.
_SHARE = 0.01
# Steps that are timed for "auto", and those before them, which are slower.
_TIMED, _SLOW = 10, 3


class Cadence:
    """How often is measured: every so many optimizer steps, or (None) when `observe` is called.

    The unit of time is the multiple of it that is nearest to 40 steps, or one measurement where that is more. So the
    decisions of a rule hardly depend on the cadence: its windows and tests are in units, and several measurements in a
    unit count as one, their mean. Planned steps are two units at least, one to hold the rate and one to decay it.

    Args:
        every: Steps; None: observed by the caller, and a unit is what lies between two calls; "auto": chosen after
            the first steps, so that measuring takes less than 1 % of the time, but at least twice in a plan.
        planned: The planned number of steps; None: there is none.

    Attributes:
        every: Steps; None: observed by the caller, or not chosen yet.

    Raises:
        ValueError: another word, less than one step, or no measurement before the planned end.
    """

    def __init__(self, every: int | str | None, planned: int | None = None) -> None:
        if isinstance(every, str) and every != "auto":
            raise ValueError(f"every must be a number of optimizer steps, 'auto' or None, got {shown(every)}")
        self.by_steps, self._planned = every is not None, planned
        self.every = None if every is None or isinstance(every, str) else whole("every", every, 1, "step")
        if every == "auto" and planned is not None and planned <= 2 * (_SLOW + _TIMED):
            self.every = max(planned // 2, 1)  # half of the plan would be over when the steps were timed
        if self.every is not None and planned is not None and self.every >= max(planned, 2):
            raise ValueError(
                "every must be less than the planned steps, or the rate would never decay, "
                f"got every = {self.every} with steps = {planned}"
            )

    @property
    def unit(self) -> int | None:
        """Steps in a unit of time; None: what lies between two calls of `observe`."""
        return self.unit_of(self.every) if self.by_steps else None

    def unit_of(self, every: int | None) -> int:
        """Steps in a unit of time at this cadence; None: before one was chosen."""
        one = 1 if every is None else every
        unit = one * max(round(STEPS / one), 1)
        if self._planned is None or 2 * unit <= self._planned:
            return unit
        return one * max(self._planned // (2 * one), 1)

    def choose(self, seconds: float, times: list[float]) -> bool:
        """For "auto": choose, once `times` holds enough starts of steps. `seconds`: what a measurement takes.

        Returns whether it has just been chosen.
        """
        if self.every is not None or not self.by_steps or len(times) <= _SLOW + _TIMED:
            return False
        # The median: a step may have waited for an evaluation, or for a compiler.
        one = statistics.median(after - before for before, after in pairwise(times[_SLOW:]))
        self.every = max(math.ceil(seconds / (_SHARE * one)), 1) if one > 0 else STEPS
        if self._planned is not None and self.every > (most := max(self._planned // 2, 1)):
            warn(
                f"every='auto' would measure once in {self.every} steps to stay under 1 % of the time, and takes "
                f"{most} instead, for {self._planned} planned steps; give every=.. to measure more often"
            )
            self.every = most
        return True

    def is_due(self, since: int, steps: int) -> bool:
        """Whether to measure: so many steps after the last measurement, in a unit of time that has so many.

        With "auto", and after an `observe` of the caller's, a unit may end between two measurements.
        """
        if self.every is None or self.unit is None:
            return False
        return since >= self.every or steps >= self.unit


class Unit:
    """The measurements of the unit of time that runs now.

    Attributes:
        steps: Optimizer steps in it so far.
        since: Of these, those after the last measurement.
    """

    def __init__(self, steps: int = 0) -> None:
        # `steps` may be left of the unit before, which was measured later than it ended.
        self.steps, self.since = steps, 0
        self._count = self._held_out_count = 0
        self._nats: dict[str, float] = {}
        self._held_out: dict[str, tuple[float, Tensor]] = {}

    def stepped(self) -> None:
        """One optimizer step more."""
        self.steps += 1
        self.since += 1

    def added(self, nats: Mapping[str, float], held_out: Mapping[str, tuple[float, Tensor]]) -> Unit:
        """With one measurement more: information by layer; of held-out examples also what each contributes, (n,)."""
        unit = Unit()
        unit.steps, unit._count = self.steps, self._count + 1
        unit._nats = {layer: self._nats.get(layer, 0.0) + value for layer, value in nats.items()}
        unit._held_out_count, unit._held_out = self._held_out_count + bool(held_out), dict(self._held_out)
        for layer, (value, each) in held_out.items():
            total, parts = self._held_out.get(layer, (0.0, torch.zeros_like(each)))
            unit._held_out[layer] = (total + value, parts + each)
        return unit

    @property
    def nats(self) -> dict[str, float]:
        """The mean information by layer."""
        return {layer: value / self._count for layer, value in self._nats.items()}

    @property
    def held_out(self) -> dict[str, tuple[float, list[float]]]:
        """The mean of the held-out information by layer, and of what each example contributes."""
        n = self._held_out_count
        return {layer: (value / n, (each / n).tolist()) for layer, (value, each) in self._held_out.items()}

    def state(self) -> dict[str, Any]:
        """As plain numbers, dicts and tensors."""
        return {
            "steps": self.steps,
            "since": self.since,
            "count": self._count,
            "held_out_count": self._held_out_count,
            "nats": dict(self._nats),
            "held_out": {layer: value for layer, (value, _) in self._held_out.items()},
            "held_out_examples": {layer: each.clone() for layer, (_, each) in self._held_out.items()},
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Unit:
        """From what `state` returned."""
        unit = cls()
        unit.steps, unit.since = int(state["steps"]), int(state["since"])
        unit._count, unit._held_out_count = int(state["count"]), int(state["held_out_count"])
        unit._nats = dict(state["nats"])
        unit._held_out = {
            layer: (value, state["held_out_examples"][layer].clone())
            for layer, value in state["held_out"].items()
        }
        return unit


def is_unit_state(state: object) -> bool:
    """Whether this has the parts that `Unit.state` returns."""
    if not (isinstance(state, Mapping) and state.keys() == Unit().state().keys()):
        return False
    counts = [state[name] for name in ("steps", "since", "count", "held_out_count")]
    numbers = [state[name] for name in ("nats", "held_out")]
    return (
        all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
        and all(isinstance(part, Mapping) for part in (*numbers, state["held_out_examples"]))
        and all(isinstance(v, int | float) and math.isfinite(v) for part in numbers for v in part.values())
        and state["held_out"].keys() == state["held_out_examples"].keys()
        and all(isinstance(each, Tensor) for each in state["held_out_examples"].values())
    )


def check_unit_state(state: Mapping[str, Any], layers: Sequence[str], held_out_size: int) -> None:
    """Raise ValueError, in one line, for a state of `Unit` that does not fit together."""
    parts = {
        "measurements": (state["count"] > 0, bool(state["nats"])),
        "held-out measurements": (state["held_out_count"] > 0, bool(state["held_out"])),
        "layers": (sorted(state["nats"]), sorted(layers) if state["count"] else []),
        "steps": (state["since"] <= state["steps"], True),
        "held-out examples": (
            {(each.dtype, tuple(each.shape)) for each in state["held_out_examples"].values()},
            {(torch.float64, (held_out_size,))} if state["held_out"] else set(),
        ),
    }
    for name, (found, wanted) in parts.items():
        if found != wanted:
            raise ValueError(
                f"scheduler state must fit together in the unit of time that runs, got other {name}: "
                f"{shown({name: part for name, part in state.items() if isinstance(part, int)})}"
            )
