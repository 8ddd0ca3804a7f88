"""What a baseline is: a way to train that reads no information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from infopace.lab.steps import Steps


@dataclass(frozen=True)
class Setting:
    """What a baseline is told of the training that it is to serve.

    Attributes:
        model: The model, on its device.
        epochs: Of the whole training.
        batches: Of an epoch.
        lr: The (initial, or peak) learning rate.
        momentum: The workload's, of SGD.
        nesterov: The workload's, of SGD.
        weight_decay: The workload's.
        settle_norms: Gives batch norm the statistics of the weights as they are now, from some training batches.
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
        """Batches of the whole training."""
        return self.epochs * self.batches


@dataclass(frozen=True)
class Baseline:
    """A method by its name.

    Attributes:
        name: As on the command line.
        summary: One line.
        build: The optimizer and its schedules for a training.
        grid: The learning rates that it is tuned over; empty where it has none to tune.
        lr: The learning rate it is published with; None where the publication leaves it to the user.
    """

    name: str
    summary: str
    build: Callable[[Setting], Steps]
    grid: tuple[float, ...]
    lr: float | None = None
