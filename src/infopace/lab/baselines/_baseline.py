"""What a baseline is: a way to train that measures no information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from infopace.lab.optimizers import AdamWRecipe, Recipe, SGDRecipe
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
        adamw: AdamW as the workload has it, or with torch's constants.
        budget: Number of epochs that were planned, where the run may go on after them; None: `epochs`. What a baseline
            derives from the plan without ending by it, such as a warm-up, it derives from this.
    """

    model: nn.Module
    epochs: int
    batches: int
    lr: float
    optimizer: Recipe
    sgd: SGDRecipe
    settle_norms: Callable[[], None]
    adamw: AdamWRecipe = field(default_factory=AdamWRecipe)
    budget: int | None = None

    @property
    def steps(self) -> int:
        """Number of batches of the run."""
        return self.epochs * self.batches

    @property
    def budget_epochs(self) -> int:
        """Number of planned epochs."""
        return self.epochs if self.budget is None else self.budget

    @property
    def budget_steps(self) -> int:
        """Number of batches of the planned epochs."""
        return self.budget_epochs * self.batches


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
        of_the_run: Whether it takes the optimizer of the run. Otherwise it has its own.
        planned: Whether its schedule ends with the planned length of the run. Otherwise it can go on after it; the plan
            may still set the length of a warm-up or a patience.
        by_default: Whether `infopace compare` runs it where no methods are named.
    """

    name: str
    summary: str
    build: Callable[[Setting], Steps]
    grid: tuple[float, ...]
    lr: float | None = None
    of_the_run: bool = False
    planned: bool = True
    by_default: bool = True
