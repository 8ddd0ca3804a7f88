"""Baselines whose result is an average of their weights: schedule-free optimizers and DoG."""

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

# The package advises ten to fifty times the rates of SGD, and one to ten times those of AdamW.
_SGD_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0)
_ADAMW_GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)

# The authors recommend a warm-up and leave its length open. They won the AlgoPerf benchmark of 2024 with 5 % [reading].
_WARM_UP = 0.05


class AveragedSteps(Steps, ABC):
    """Steps whose evaluation uses the average. The trained weights are put back afterwards, bit for bit.

    A checkpoint holds the trained weights and the state of the average. Schedule-free optimizers compute one from the
    other, which would change the last bits.
    """

    def __init__(self, optimizer: Optimizer, setting: Setting) -> None:
        super().__init__(optimizer)
        self._model, self._settle_norms = setting.model, setting.settle_norms

    @abstractmethod
    def take_average(self) -> None:
        """Replace the weights by the average."""

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within this context the weights are the average, with batch-norm statistics of their own."""
        with _put_back(self._model), torch.no_grad():
            self.take_average()
            self._settle_norms()
            yield


class ScheduleFreeSteps(AveragedSteps):
    """An optimizer of the package schedulefree. It is in eval mode during evaluations and in train mode otherwise."""

    def __init__(self, optimizer: Optimizer, setting: Setting) -> None:
        super().__init__(optimizer, setting)
        optimizer.train()  # pyright: ignore[reportAttributeAccessIssue]

    def lrs(self) -> list[float]:
        """The learning rate, which rises from near zero during the warm-up."""
        groups = self.optimizer.param_groups
        return [g["lr"] * min(1.0, (g["k"] + 1) / max(1, g["warmup_steps"])) for g in groups]

    def take_average(self) -> None:
        """Switch to x, the average, by the package's own method. y is put back from the kept bits."""
        self.optimizer.eval()  # pyright: ignore[reportAttributeAccessIssue]

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within this context the optimizer is in eval mode."""
        with super().evaluating():
            try:
                yield
            finally:
                self.optimizer.train()  # pyright: ignore[reportAttributeAccessIssue]


class DoGSteps(AveragedSteps):
    """DoG with its polynomial average."""

    def take_average(self) -> None:
        """Take the average that the optimizer keeps."""
        assert isinstance(self.optimizer, DoG), "built with it"
        self.optimizer.take_average()


@contextlib.contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """Put parameters and buffers back at the end, bit for bit."""
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

    # Its momentum says where between z and x the gradient is taken. It is not that of SGD, so the default 0.9 stays.
    optimizer = SGDScheduleFree(
        setting.model.parameters(),
        lr=setting.lr,
        weight_decay=setting.sgd.weight_decay,
        warmup_steps=round(_WARM_UP * setting.budget_steps),
    )
    return ScheduleFreeSteps(optimizer, setting)


def _schedule_free_adamw(setting: Setting) -> Steps:
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(
        setting.model.parameters(),
        lr=setting.lr,
        weight_decay=DECOUPLED_DECAY,
        warmup_steps=round(_WARM_UP * setting.budget_steps),
    )
    return ScheduleFreeSteps(optimizer, setting)


def _schedule_free_adamw_algoperf(setting: Setting) -> Steps:
    from schedulefree import AdamWScheduleFree

    # The second version, which came first in the report of 2026. The first one had r = 0.75 (weights of the average
    # grow with the step), and an early form of the method, which the package does not have.
    optimizer = AdamWScheduleFree(
        setting.model.parameters(),
        lr=setting.lr,
        betas=(0.9, 0.9955159689799007),
        weight_decay=0.08121616522670176,
        # Of 0.75 times the step hint, as the submission has it.
        warmup_steps=int(0.02 * 0.75 * setting.budget_steps),
    )
    return ScheduleFreeSteps(optimizer, setting)


def _dog(setting: Setting) -> Steps:
    norms = any(isinstance(module, _BatchNorm) for module in setting.model.modules())
    optimizer = DoG(
        setting.model.parameters(),
        lr=setting.lr,
        first_distance=1e-4 if norms else 1e-6,
        weight_decay=setting.sgd.weight_decay,
    )
    return DoGSteps(optimizer, setting)


AVERAGED_BASELINES = (
    Baseline(
        "schedule-free-sgd",
        "SGD with averaged weights instead of a schedule",
        _schedule_free_sgd,
        _SGD_GRID,
        1.0,
        planned=False,
    ),
    Baseline(
        "schedule-free-adamw",
        "AdamW with averaged weights instead of a schedule, decay 0.01",
        _schedule_free_adamw,
        _ADAMW_GRID,
        0.0025,
        planned=False,
    ),
    Baseline(
        "schedule-free-adamw-algoperf",
        "schedule-free AdamW with its settings for AlgoPerf, decay 0.081",
        _schedule_free_adamw_algoperf,
        (),
        0.0025,
        planned=False,
        by_default=False,
    ),
    Baseline(
        "dog",
        "SGD whose rate is distance over gradients (Ivgi 2023), averaged weights",
        _dog,
        (),
        1.0,
        planned=False,
    ),
)
