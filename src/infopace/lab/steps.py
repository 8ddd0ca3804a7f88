"""The optimizer of a run with its learning-rate schedule, of a baseline or paced by information."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from infopace import Bounds, Measurement, MutualInformationLR
from infopace.lab.run_folder import Row
from infopace.scheduler import Optimizers


class Steps:
    """An optimizer with a schedule that steps after every batch, after every epoch, or not at all.

    Args:
        optimizer: Any torch optimizer.
        per_batch: Steps after every batch.
        per_epoch: Steps after every epoch; a plateau rule gets the mean training loss.
        wants_loss: The optimizer's step is called with a closure that returns the loss of the batch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        per_batch: LRScheduler | None = None,
        per_epoch: LRScheduler | ReduceLROnPlateau | None = None,
        wants_loss: bool = False,
    ) -> None:
        self.optimizer = optimizer
        self._per_batch, self._per_epoch = per_batch, per_epoch
        self.wants_loss = wants_loss

    @property
    def groups(self) -> list[str]:
        """A name for each parameter group."""
        return ["all"] if len(self.optimizer.param_groups) == 1 else [str(i) for i in self._numbers()]

    def lrs(self) -> list[float]:
        """The learning rate of each parameter group, times d if the optimizer finds a scale d itself."""
        return [float(group["lr"]) * float(group.get("d", 1.0)) for group in self.optimizer.param_groups]

    def step(self, loss: Tensor, again: Callable[[], Tensor] | None = None) -> None:
        """Update the weights, after the backward pass of `loss`.

        `again` computes the loss of the same batch at the present weights, in eval mode, for a line search.
        """
        if self.wants_loss:
            self.optimizer.step(lambda: float(loss.detach()))
        else:
            self.optimizer.step()
        if self._per_batch is not None:
            self._per_batch.step()

    def end_epoch(self, loss: float) -> None:
        """Step the schedule after an epoch whose mean training loss was `loss`."""
        if isinstance(self._per_epoch, ReduceLROnPlateau):
            self._per_epoch.step(loss)
        elif self._per_epoch is not None:
            self._per_epoch.step()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it, the weights are those that the method would deliver."""
        yield

    def facts(self) -> Row:
        """What was measured; empty for a baseline."""
        return {"information": {}, "reference": None, "warnings": []}

    def decisions(self, epoch: int) -> list[dict[str, Any]]:
        """The decisions for `epoch` (1-based), one a parameter group; empty for a baseline."""
        return []

    @property
    def finding(self) -> bool:
        """Whether trials at other learning rates run. Their losses may not be finite."""
        return False

    @property
    def found(self) -> tuple[str, ...]:
        """What trials gave, in a line for the search and for each look."""
        return ()

    @property
    def lr_min(self) -> float:
        """The lowest learning rate that is tried where epochs are rolled back."""
        return 0.0

    @property
    def finished(self) -> bool:
        """Whether the method ended the run."""
        return False

    @property
    def holds_out(self) -> bool:
        """Whether examples are still to be held out."""
        return False

    @property
    def by_steps(self) -> bool:
        """Whether the scheduler measures by itself; a unit of time is then not an epoch."""
        return False

    @property
    def rolled_back(self) -> int:
        """Number of rolled-back epochs."""
        return 0

    def roll_back(self, why: str) -> bool:
        """Roll back the last epoch, instead of `end_epoch`; False if the method cannot."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        schedules = {"per_batch": self._per_batch, "per_epoch": self._per_epoch}
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict()}
        return state | {name: s.state_dict() for name, s in schedules.items() if s is not None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.optimizer.load_state_dict(state["optimizer"])
        # torch moves the state of a weight to its device, but not what a package keeps in its groups.
        for group in self.optimizer.param_groups:
            device = group["params"][0].device
            group.update({k: v.to(device) for k, v in group.items() if isinstance(v, Tensor)})
        if self._per_batch is not None:
            self._per_batch.load_state_dict(state["per_batch"])
        if self._per_epoch is not None:
            self._per_epoch.load_state_dict(state["per_epoch"])

    def _numbers(self) -> range:
        return range(len(self.optimizer.param_groups))


class PacedSteps(Steps):
    """An optimizer whose learning rate is paced by information.

    It is measured after every epoch, or by the scheduler itself every so many steps.
    """

    def __init__(self, optimizer: Optimizer, scheduler: MutualInformationLR) -> None:
        super().__init__(optimizer)
        self.scheduler = scheduler

    @property
    def groups(self) -> list[str]:
        """The layer that drives each parameter group."""
        return list(self.scheduler.driving_layers)

    def end_epoch(self, loss: float) -> None:
        """Measure the information, decide and apply the decision, where the scheduler does not do so by itself."""
        if not self.by_steps:
            self.scheduler.observe()
            self.scheduler.step()

    @property
    def by_steps(self) -> bool:
        """Whether the scheduler measures by itself; a unit of time is then not an epoch."""
        return self.scheduler.unit is not None

    @property
    def rolled_back(self) -> int:
        """Number of rolled-back epochs."""
        return len(self.scheduler.rolled_back)

    def roll_back(self, why: str) -> bool:
        """Restore the weights of the epoch before, and continue with bounds half as high."""
        if not self.scheduler.can_roll_back:
            return False
        self.scheduler.roll_back(why)
        self.scheduler.step()
        return True

    def facts(self) -> Row:
        """Information, reference and warnings of the last measurement."""
        measurement = self.measured()
        layers = {
            name: {
                "nats": found.estimate.nats,
                "std_error": _number(found.estimate.std_error),
                "decoder": None if found.decoder is None else _number(found.decoder.nats),
            }
            for name, found in measurement.layers.items()
        }
        facts: Row = {
            "information": layers,
            "reference": measurement.reference,
            "warnings": list(measurement.warnings),
        }
        measured = len(self.scheduler.history["output"])
        now = {k: v[-1] for k, v in self.scheduler.held_out_history.items() if len(v) == measured}
        return facts | ({"held_out": now} if now else {})

    def decisions(self, epoch: int) -> list[dict[str, Any]]:
        """Rate, phase and reason of each group's decision for `epoch`; by steps those that are valid at its start."""
        decided = self.scheduler.decisions[-1]
        return [
            {"layer": layer, "lr": d.lr, "phase": d.phase, "reason": d.reason}
            for layer, d in zip(self.groups, decided, strict=True)
        ]

    @property
    def finished(self) -> bool:
        """Whether the policy ended the run for every parameter group."""
        return self.scheduler.finished

    @property
    def holds_out(self) -> bool:
        """True until every parameter group is in its decay phase."""
        return self.scheduler.holds_out

    @property
    def finding(self) -> bool:
        """Whether the scheduler searches for the learning rate."""
        return self.scheduler.finding

    @property
    def found(self) -> tuple[str, ...]:
        """What trials gave, in a line for the search and for each look."""
        return tuple(self.scheduler.found)

    @property
    def lr_min(self) -> float:
        """The lowest learning rate that is tried where epochs are rolled back."""
        bounds = self.scheduler.bounds
        return bounds.lr_min if isinstance(bounds, Bounds) else min(one.lr_min for one in bounds.values())

    def measured(self) -> Measurement:
        """The last measurement."""
        assert self.scheduler.measurement is not None, "the scheduler has just measured"
        return self.scheduler.measurement

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def check_loaded(optimizer: Optimizer, own: list[dict[str, Any]]) -> None:
    """Raise ValueError if a loaded state cannot be this optimizer's. `own` are its groups as they were built.

    torch loads any state, and then fails at the first step, or trains with it.
    """
    for group, built in zip(optimizer.param_groups, own, strict=True):
        for name, value in built.items():
            if isinstance(value, int | float | Tensor) and not isinstance(
                group.get(name), int | float | Tensor
            ):
                raise ValueError(
                    f"the optimizer's {name} must be a number, got {str(group.get(name))[:60]!r}"
                )
    for one in optimizer.parts if isinstance(optimizer, Optimizers) else [optimizer]:
        for parameter, kept in one.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and not _fits(value.shape, parameter.shape):
                    raise ValueError(f"{name} of shape {tuple(value.shape)} belongs to another parameter")


def _fits(state: torch.Size, parameter: torch.Size) -> bool:
    """Whether a state can be of a parameter: of its size, one number, or of some of its dimensions, as Adafactor's."""
    if state.numel() in (1, parameter.numel()):
        return True
    return len(state) == len(parameter) and all(n in (1, m) for n, m in zip(state, parameter, strict=True))


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return value if math.isfinite(value) else None
