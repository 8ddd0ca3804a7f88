"""The steps of an optimizer since the last observation, their learning rates, and calls that do not fit them."""

from __future__ import annotations

import contextlib
import enum
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infopace._checks import warn
from infopace.model.layers import parameters_of
from infopace.model.snapshot import norm_of, optimizers_in
from infopace.scheduler._momentum import rate_of
from infopace.scheduler._several import parts_of

# Optimizers inside `uncounted_steps`.
_uncounted: weakref.WeakSet[Optimizer] = weakref.WeakSet()
# Which steps of a scheduler count for an optimizer: those of the last that was built.
_paced: weakref.WeakKeyDictionary[Optimizer, weakref.ref[OptimizerSteps]] = weakref.WeakKeyDictionary()
# After so many calls of step, each after so many optimizer steps, observe is missing. A loop that calls step after
# every batch has one optimizer step before each call.
_CALLS, _STEPS = 3, 2
# After each of the first so many steps came one of an optimizer that is not the last in the list: a wrong order.
_LATE = 3
# The starts of so many steps are noted.
_TIMES = 20


@contextlib.contextmanager
def uncounted_steps(optimizer: Optimizer) -> Iterator[None]:
    """No scheduler counts the steps inside; for code that puts everything back afterwards, such as a range test."""
    added = [one for one in optimizers_in(optimizer) if one not in _uncounted]
    _uncounted.update(added)
    try:
        yield
    finally:
        _uncounted.difference_update(added)


def call_before_steps(optimizers: Sequence[Optimizer], call: weakref.WeakMethod[Any], owner: object) -> None:
    """Call a method of `owner` with the optimizer before each step that counts, for as long as `owner` lives."""
    for one in optimizers:
        weakref.finalize(owner, one.register_step_pre_hook(_hook(call)).remove)


def call_after_steps(optimizers: Sequence[Optimizer], call: weakref.WeakMethod[Any], owner: object) -> None:
    """The same after each step."""
    for one in optimizers:
        weakref.finalize(owner, one.register_step_post_hook(_hook(call)).remove)


def _hook(call: weakref.WeakMethod[Any]) -> Callable[..., None]:
    def hook(optimizer: Optimizer, *_: Any) -> None:
        method = call()
        if method is not None and optimizer not in _uncounted and not _is_skipped(optimizer):
            method(optimizer)

    # A compiled step would trace the hook, and compile it anew for every tensor that is copied.
    return torch.compiler.disable(hook)  # pyright: ignore[reportReturnType]


def _is_skipped(optimizer: Optimizer) -> bool:
    """Whether a fused optimizer is about to skip the step, because GradScaler has found a gradient not finite."""
    found = getattr(optimizer, "found_inf", None)
    if not isinstance(found, Tensor) or (found.is_cuda and torch.cuda.is_current_stream_capturing()):
        return False
    return bool(found)


def with_hooks(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizer and those inside it, without wrappers that are one in name only and have no hooks."""
    return [one for one in optimizers_in(optimizer) if hasattr(one, "_optimizer_step_pre_hooks")]


class Misuse(enum.Enum):
    """Calls that do not set any learning rate, with the remedy."""

    TWICE = (
        "observe() was called without an optimizer step since the last call, which counts as no epoch; "
        "call it once, at the end of an epoch"
    )
    NEVER = (
        "step() was called {calls} times after optimizer steps, and observe() never: "
        "the learning rate stays as it is; call observe() before step()"
    )
    NOT_APPLIED = (
        "observe() was called {calls} times and step() never: the learning rate stays as it is, unless another "
        "scheduler drives for now; call step() after observe()"
    )
    CHANGED = (
        "other code, another scheduler perhaps, has changed the learning rate: {found:.4g} found in parameter group "
        "{group}, {applied:.4g} set; leave the rate to one of them, or join both by SequentialLR"
    )
    ORDER = (
        "optimizers must be listed in the order in which they step, got a step of number {place}, counted from 0, "
        "after each of the last one; a trial, or a roll-back, ends with the last one in the list"
    )
    SET_BACK = (
        "other code, another scheduler perhaps, has changed the learning rate: {found:.4g} found in parameter group "
        "{group}, {applied:.4g} set; with every=.. and after a search it is set back before each step, so leave the "
        "rate to one scheduler; a warm-up is warmup=.. with bounds"
    )


class Warner:
    """Warns once of each misuse. It counts how often `step` was called without `observe`, and the other way round."""

    def __init__(self) -> None:
        self._said: set[Misuse] = set()
        self.begin()

    def begin(self) -> None:
        """The run begins, or continues from a state."""
        self._observed, self._calls, self._steps = False, 0, 0
        self._not_applied: int | None = 0

    def observed(self, after_epoch: bool) -> None:
        """`observe` was called, after an epoch that was trained: then `step` is to follow."""
        self._observed, self._steps = True, 0
        if self._not_applied is not None and after_epoch:
            self._not_applied += 1
            if self._not_applied > _CALLS:
                self.say(Misuse.NOT_APPLIED, calls=self._not_applied)

    def stepped(self, steps: int) -> None:
        """`step` was called, `steps` optimizer steps after the last observation."""
        if self._not_applied:  # torch calls it once when a scheduler is built
            self._not_applied = None
        self._calls += not self._observed and steps - self._steps >= _STEPS
        self._steps = steps
        if self._calls >= _CALLS:
            self.say(Misuse.NEVER, calls=self._calls)

    def compare(
        self,
        found: Sequence[float] | None,
        applied: Sequence[float] | None,
        misuse: Misuse = Misuse.CHANGED,
    ) -> None:
        """Warn where an epoch is not trained at the rates that `step` has set for it, if it has set any."""
        for group, (lr, wanted) in enumerate(zip(found or (), applied or (), strict=False)):
            if lr != wanted:
                self.say(misuse, found=lr, group=group, applied=wanted)

    def say(self, misuse: Misuse, **values: Any) -> None:
        """Warn, if not done before."""
        if misuse not in self._said:
            self._said.add(misuse)
            warn(misuse.value.format(**values))


class OptimizerSteps:
    """Counts steps by hooks.

    Steps that GradScaler skips do not count, and neither do `uncounted_steps`. The hooks see no step of an optimizer
    without hooks or of a replayed CUDA graph. There, weights that have changed show that steps were taken. Of several
    optimizers that counts which has taken most steps, such as the discriminator of a GAN. A step is over after that of
    the last in the list, or when another begins. Of two schedulers of one optimizer the newer sees the steps: a cell of
    a notebook may run again.

    Args:
        optimizer: The optimizer.
        model: The plain model.
        at_first: Called before the first step since `begin`, and whenever there are more groups.
        before: Called before each step: it may set the learning rates, and returns those that it has set.
        after: Called after each step.

    Attributes:
        warner: Warns of calls that do not fit the steps, and of rates that other code has set.
        total: Steps that the hook has seen in the run, without those that were rolled back.
        taken: Steps that it has seen since `begin`.
        times: When the first steps began, in seconds; for the choice of a cadence.
        applied: The rates that the scheduler has set for the coming epoch; None: another drives it for now.
        set_here: Whether the scheduler has set the rates of a step since `begin`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        at_first: Callable[[], None],
        before: Callable[[], list[float] | None],
        after: Callable[[], None],
    ) -> None:
        self._optimizer, self._model = optimizer, model
        self._at_first, self._at_each, self._at_end = at_first, before, after
        self.warner = Warner()
        self.applied: list[float] | None = None
        self.total, self.times = 0, list[float]()
        self._follow()
        self.begin()

    def begin(self) -> None:
        """A unit of time was observed, or a state was loaded: the next begins."""
        self.taken, self.applied, self.set_here = 0, None, False
        # Steps of each optimizer, and whether the last that began is not over.
        self._counts, self._open = [0] * len(parts_of(self._optimizer)), False
        self._late = list(self._counts)
        self._first: list[float] | None = None
        self._last: list[float] | None = None
        self._norm, self._groups = self._norm_now(), len(self._optimizer.param_groups)

    def go_back(self) -> None:
        """What was trained since `begin` was rolled back: these steps are not taken."""
        self.total -= self.taken
        self.begin()

    @property
    def any(self) -> bool:
        """Whether the model was trained since `begin`."""
        return self.taken > 0 or self._norm_now() != self._norm

    @property
    def first(self) -> list[float] | None:
        """The groups' learning rates at the first step since `begin`; None: there was no step."""
        return self._first

    def goes_on(self, taken: int, first: list[float] | None) -> None:
        """A state was loaded in the middle of a unit of time, after so many steps and with these rates at its first."""
        self.taken, self._first, self.set_here = taken, first, taken > 0
        self._counts = [taken] * len(self._counts)

    @property
    def running(self) -> list[bool]:
        """Of each of several optimizers whether it has stepped in the step that runs; empty: none runs."""
        return [count >= self.taken for count in self._counts] if self._open else []

    def runs_on(self, running: object) -> None:
        """A state was loaded in the middle of a step of several optimizers; `running` is what it was then."""
        if isinstance(running, list) and len(running) == len(self._counts) and any(running):
            self.taken, self._open = max(self.taken, 1), True
            self._counts = [self.taken if stepped else self.taken - 1 for stepped in running]

    @property
    def of_several(self) -> bool:
        """Whether there are several optimizers, of which one may step after a step is over."""
        return len(self._counts) > 1

    def forget_gradients(self) -> None:
        """They are of weights that were put back, and an optimizer may still be about to step."""
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def used(self) -> tuple[list[float], list[float]]:
        """The groups' learning rates at the first and at the last step since `begin`; without steps, those of now.

        Where other code sets rates that are tensors of another device, those of the first step stand for both.
        """
        self.warner.compare(self._last, self.applied)
        now = self.rates()
        return self._first or now, self._last or now

    def rates(self) -> list[float]:
        """The learning rate of each group, now; where momentum was lowered, the one of equal effect without that."""
        return [rate_of(group) for group in self._optimizer.param_groups]

    @property
    def tensors(self) -> bool:
        """Whether learning rates are tensors of a device that reading one waits for."""
        rates = [group["lr"] for group in self._optimizer.param_groups]
        return any(isinstance(lr, Tensor) and lr.device.type != "cpu" for lr in rates)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies of an optimizer have no hooks.
        self.__dict__.update(state)
        self._follow()

    def _follow(self) -> None:
        # Of each optimizer, the one whose hooks see its steps.
        self._parts = [next(iter(with_hooks(part)), None) for part in parts_of(self._optimizer)]
        parts = [one for one in self._parts if one is not None]
        _paced.update((one, weakref.ref(self)) for one in parts)
        self._closing = parts[-1] if parts else None
        call_before_steps(parts, weakref.WeakMethod(self._before), self)
        call_after_steps(parts[-1:], weakref.WeakMethod(self._after), self)

    def _before(self, optimizer: Optimizer) -> None:
        # The hooks of an optimizer that was copied with them see the copy's steps.
        place = next((place for place, one in enumerate(self._parts) if one is optimizer), None)
        if place is None or not self._paces(optimizer):
            return
        if self._counts[place] == self.taken and self._open:
            self._end()  # it begins a step, and the last optimizer had none in the one before
        self._counts[place] += 1
        groups, tensors = self._optimizer.param_groups, self.tensors
        # No number can be read then.
        captures = tensors and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()
        if self._counts[place] <= self.taken:
            if not (self._open or captures):
                self._at_each()  # it skipped steps, and takes one before the next of the others: at that one's rates
                self._late[place] += self._counts[place] == self.taken
                if self._late[place] == self.taken == _LATE:
                    self.warner.say(Misuse.ORDER, place=place)
            return
        self.taken, self._open = self.taken + 1, True
        if captures:
            self.total += 1
            return
        if len(self.times) < _TIMES:
            self.times.append(time.perf_counter())
        starts = self._first is None or len(groups) != self._groups
        if starts:
            self._groups = len(groups)
            self._at_first()
        rates = self._at_each()
        self.set_here |= rates is not None
        if rates is not None:
            self._last = rates
        elif starts or not tensors:  # to read one waits for its device
            self._last = self.rates()
        if starts:
            assert self._last is not None, "read or set"
            self.warner.compare(self._last, self.applied)
            before = self._first or []
            self._first = [*before, *self._last[len(before) :]]
        self.total += 1

    def _after(self, optimizer: Optimizer) -> None:
        if self._open and optimizer is self._closing and self._paces(optimizer):
            self._end()

    def _paces(self, optimizer: Optimizer) -> bool:
        newest = _paced.get(optimizer)
        return newest is not None and newest() is self

    def _end(self) -> None:
        """The step that runs is over."""
        self._open = False
        self._at_end()

    def _norm_now(self) -> float:
        return norm_of(p for p in parameters_of(self._model) if p.is_floating_point() or p.is_complex())
