"""Baselines that hand over an average of the weights that they went through: schedule-free optimizers and DoG."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from infopace.lab.baselines._adaptive import DECOUPLED_DECAY
from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.optimizers import DoG
from infopace.lab.steps import Steps

# The packages' advice is ten to fifty times the rates of SGD, and one to ten times those of AdamW.
_SGD_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0)
_ADAMW_GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)

# A warm-up is recommended and its length left open; 5 % is what its authors won a benchmark of algorithms with
# (AlgoPerf 2024) [reading].
_WARM_UP = 0.05


class AveragedSteps(Steps, ABC):
    """Steps whose evaluation sees the average, and whose training never notices that there was one.

    A checkpoint holds the weights that are trained, with everything the average is made of beside them: going to the
    average and back by arithmetic, as schedule-free optimizers do, would change their last bits.
    """

    def __init__(self, optimizer: Optimizer, setting: Setting) -> None:
        super().__init__(optimizer)
        self._model, self._settle_norms = setting.model, setting.settle_norms

    @abstractmethod
    def take_average(self) -> None:
        """Put the average in the place of the weights."""

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it, the weights are the average, and batch norm's statistics belong to it."""
        with _put_back(self._model), torch.no_grad():
            self.take_average()
            self._settle_norms()
            yield


class ScheduleFreeSteps(AveragedSteps):
    """An optimizer of the package schedulefree, in train mode but for evaluations."""

    def __init__(self, optimizer: Optimizer, setting: Setting) -> None:
        super().__init__(optimizer, setting)
        optimizer.train()  # pyright: ignore[reportAttributeAccessIssue]

    def lrs(self) -> list[float]:
        """The learning rate, which rises from near zero in the warm-up."""
        groups = self.optimizer.param_groups
        return [g["lr"] * min(1.0, (g["k"] + 1) / max(1, g["warmup_steps"])) for g in groups]

    def take_average(self) -> None:
        """The package's own switch to x, its average; back to y go the bits that were kept."""
        self.optimizer.eval()  # pyright: ignore[reportAttributeAccessIssue]

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it, the optimizer is in eval mode."""
        with super().evaluating():
            try:
                yield
            finally:
                self.optimizer.train()  # pyright: ignore[reportAttributeAccessIssue]


class DoGSteps(AveragedSteps):
    """DoG with its polynomial average."""

    def take_average(self) -> None:
        """The optimizer keeps it."""
        assert isinstance(self.optimizer, DoG), "built with it"
        self.optimizer.take_average()


@contextlib.contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """Parameters and buffers are afterwards what they were, bit for bit."""
    tensors = [*model.parameters(), *model.buffers()]
    kept = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)


def _schedule_free_sgd(setting: Setting) -> Steps:
    from schedulefree import SGDScheduleFree

    # Its momentum is where between z and x the gradient is taken, and not SGD's: the package's 0.9 stays.
    optimizer = SGDScheduleFree(
        setting.model.parameters(),
        lr=setting.lr,
        weight_decay=setting.weight_decay,
        warmup_steps=round(_WARM_UP * setting.steps),
    )
    return ScheduleFreeSteps(optimizer, setting)


def _schedule_free_adamw(setting: Setting) -> Steps:
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(
        setting.model.parameters(),
        lr=setting.lr,
        weight_decay=DECOUPLED_DECAY,
        warmup_steps=round(_WARM_UP * setting.steps),
    )
    return ScheduleFreeSteps(optimizer, setting)


def _dog(setting: Setting) -> Steps:
    norms = any(isinstance(module, _BatchNorm) for module in setting.model.modules())
    optimizer = DoG(
        setting.model.parameters(),
        lr=setting.lr,
        first_distance=1e-4 if norms else 1e-6,
        weight_decay=setting.weight_decay,
    )
    return DoGSteps(optimizer, setting)


AVERAGED_BASELINES = (
    Baseline(
        "schedule-free-sgd",
        "SGD with averaged weights in place of a schedule",
        _schedule_free_sgd,
        _SGD_GRID,
        1.0,
    ),
    Baseline(
        "schedule-free-adamw",
        "AdamW with averaged weights in place of a schedule, decay 0.01",
        _schedule_free_adamw,
        _ADAMW_GRID,
        0.0025,
    ),
    Baseline("dog", "SGD whose rate is distance over gradients (Ivgi 2023), averaged weights", _dog, (), 1.0),
)
