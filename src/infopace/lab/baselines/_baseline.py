"""What a baseline is: a way to train that measures no information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from infopace.lab.steps import Steps


@dataclass(frozen=True)
class Setting:
    """The training run that a baseline is built for.

    Attributes:
        model: The model, on its device.
        epochs: Number of epochs of the run.
        batches: Number of batches of an epoch.
        lr: The initial or peak learning rate.
        momentum: Momentum of SGD on this workload.
        nesterov: Whether SGD has Nesterov's form on this workload.
        weight_decay: Weight decay of the workload.
        settle_norms: Computes the statistics of batch norm for the present weights from some training batches.
    """

    model: nn.Module
    epochs: int
    batches: int
    lr: float
    momentum: float
    nesterov: bool
    weight_decay: float
    settle_norms: Callable[[], None]

    @property
    def steps(self) -> int:
        """Number of batches of the run."""
        return self.epochs * self.batches


@dataclass(frozen=True)
class Baseline:
    """A method that measures no information.

    Attributes:
        name: Its name on the command line.
        summary: What it is, in one line.
        build: Builds the optimizer and its schedules for a run.
        grid: The learning rates that it is tuned over; empty where there is nothing to tune.
        lr: The published learning rate; None where the publication leaves it to the user.
    """

    name: str
    summary: str
    build: Callable[[Setting], Steps]
    grid: tuple[float, ...]
    lr: float | None = None
