"""SGD with momentum under common schedules, all from torch."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.optimizers import SGD_GRID
from infopace.lab.steps import Steps

# torch's default patience is ten epochs. It is shortened so that a short run can reach several cuts.
_PLATEAU_PATIENCE, _PLATEAU_CUTS = 10, 4


def sgd(setting: Setting) -> Optimizer:
    """The workload's SGD at the baseline's learning rate."""
    return setting.sgd.build(setting.model, setting.lr)


def _constant(setting: Setting) -> Steps:
    return Steps(sgd(setting))


def _step(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    milestones = [round(setting.epochs * share) for share in (0.5, 0.75)]
    return Steps(optimizer, per_epoch=MultiStepLR(optimizer, milestones, gamma=0.1))


def _cosine(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    return Steps(optimizer, per_batch=CosineAnnealingLR(optimizer, setting.steps))


def _linear(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    return Steps(optimizer, per_batch=LinearLR(optimizer, 1.0, 0.0, setting.steps))


def _one_cycle(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    schedule = OneCycleLR(
        optimizer, setting.lr, total_steps=setting.steps + 1, cycle_momentum=setting.sgd.momentum > 0
    )
    return Steps(optimizer, per_batch=schedule)


def _cyclic(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    # Smith (2017) advises a lower end of a quarter or a third, and two to ten epochs for half a cycle.
    half_cycle = max(1, min(4, setting.budget_epochs // 4)) * setting.batches
    schedule = CyclicLR(
        optimizer, setting.lr / 4, setting.lr, half_cycle, mode="triangular2", cycle_momentum=False
    )
    return Steps(optimizer, per_batch=schedule)


def _plateau(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    patience = min(_PLATEAU_PATIENCE, setting.budget_epochs // (2 * _PLATEAU_CUTS))
    return Steps(optimizer, per_epoch=ReduceLROnPlateau(optimizer, patience=patience))


SGD_BASELINES = (
    Baseline("sgd-constant", "SGD at one learning rate", _constant, SGD_GRID, planned=False),
    Baseline("sgd-step", "SGD, divided by ten after half and three quarters of the epochs", _step, SGD_GRID),
    Baseline("sgd-cosine", "SGD, cosine to zero", _cosine, SGD_GRID),
    Baseline("sgd-linear", "SGD, linear to zero", _linear, SGD_GRID),
    Baseline("sgd-one-cycle", "SGD, up and down once (Smith 2018), torch's OneCycleLR", _one_cycle, SGD_GRID),
    Baseline(
        "sgd-cyclic",
        "SGD, triangles of halving height (Smith 2017), torch's CyclicLR",
        _cyclic,
        SGD_GRID,
        planned=False,
    ),
    Baseline(
        "sgd-plateau",
        "SGD, divided by ten where the training loss stops falling",
        _plateau,
        SGD_GRID,
        planned=False,
    ),
)
