"""The unit of time of a run: how often is measured, and what one unit's measurements come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infopace._checks import shown, whole

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
    unit count as one, their mean.

    Args:
        every: Steps; None: observed by the caller, and a unit is what lies between two calls; "auto": chosen after
            the first steps, so that measuring takes less than 1 % of the time.

    Attributes:
        every: Steps; None: observed by the caller, or not chosen yet.

    Raises:
        ValueError: another word, or less than one step.
    """

    def __init__(self, every: int | str | None) -> None:
        if isinstance(every, str) and every != "auto":
            raise ValueError(f"every must be a number of optimizer steps, 'auto' or None, got {shown(every)}")
        self.by_steps = every is not None
        self.every = None if every is None or isinstance(every, str) else whole("every", every, 1, "step")

    @property
    def unit(self) -> int | None:
        """Steps in a unit of time; None: what lies between two calls of `observe`."""
        if not self.by_steps:
            return None
        return STEPS if self.every is None else self.every * max(round(STEPS / self.every), 1)

    def choose(self, seconds: float, times: list[float]) -> bool:
        """For "auto": choose, once `times` holds enough starts of steps. `seconds`: what a measurement takes.

        Returns whether it has just been chosen.
        """
        if self.every is not None or not self.by_steps or len(times) <= _SLOW + _TIMED:
            return False
        one = (times[-1] - times[_SLOW]) / (len(times) - 1 - _SLOW)
        self.every = max(math.ceil(seconds / (_SHARE * one)), 1) if one > 0 else STEPS
        return True

    def is_due(self, since: int) -> bool:
        """Whether to measure, so many steps after the last measurement."""
        return self.every is not None and since >= self.every


class Unit:
    """The measurements of the unit of time that runs now.

    Attributes:
        steps: Optimizer steps in it so far.
        since: Of these, those after the last measurement.
    """

    def __init__(self) -> None:
        self.steps = self.since = self._count = self._held_out_count = 0
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
    """Whether this is what `Unit.state` returns."""
    if not (isinstance(state, Mapping) and state.keys() == Unit().state().keys()):
        return False
    counts = [state[name] for name in ("steps", "since", "count", "held_out_count")]
    numbers = [state[name] for name in ("nats", "held_out")]
    return (
        all(isinstance(count, int) and count >= 0 for count in counts)
        and all(isinstance(part, Mapping) for part in (*numbers, state["held_out_examples"]))
        and all(isinstance(value, int | float) for part in numbers for value in part.values())
        and state["held_out"].keys() == state["held_out_examples"].keys()
        and all(isinstance(each, Tensor) for each in state["held_out_examples"].values())
    )
