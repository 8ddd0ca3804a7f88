"""What a baseline is: a way to train that measures no information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from infopace.lab.optimizers import Recipe, SGDRecipe
from infopace.lab.steps import Steps


@dataclass(frozen=True)
class Setting:
    """The training run that a baseline is built for.

    Attributes:
        model: The model, on its device.
        epochs: Number of epochs of the run.
        batches: Number of batches of an epoch.
        lr: The initial or peak learning rate.
        optimizer: The optimizer of the run, for the baselines that take it.
        sgd: SGD as the workload has it: its momentum, and a weight decay that is a penalty in the loss.
        settle_norms: Computes the statistics of batch norm for the present weights from some training batches.
    """

    model: nn.Module
    epochs: int
    batches: int
    lr: float
    optimizer: Recipe
    sgd: SGDRecipe
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
        grid: The learning rates that it is tuned over; empty where there is nothing to tune, or where the optimizer of
            the run has a grid.
        lr: The published learning rate; None where the publication leaves it to the user.
        planned: Whether it uses the planned length of the run.
        of_the_run: Whether it takes the optimizer of the run. Otherwise it has its own.
    """

    name: str
    summary: str
    build: Callable[[Setting], Steps]
    grid: tuple[float, ...]
    lr: float | None = None
    planned: bool = True
    of_the_run: bool = False
