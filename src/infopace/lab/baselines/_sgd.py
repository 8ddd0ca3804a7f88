"""SGD with momentum under common schedules, all from torch."""

from __future__ import annotations

from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.steps import Steps

# Ten rates, half a decade apart. They are wide enough for every workload here.
GRID = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)

# torch's default patience is ten epochs. It is shortened so that a short run can reach several cuts.
_PLATEAU_PATIENCE, _PLATEAU_CUTS = 10, 4


def sgd(setting: Setting) -> SGD:
    """The workload's SGD at the baseline's learning rate."""
    return SGD(
        setting.model.parameters(),
        lr=setting.lr,
        momentum=setting.momentum,
        nesterov=setting.nesterov,
        weight_decay=setting.weight_decay,
    )


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
        optimizer, setting.lr, total_steps=setting.steps + 1, cycle_momentum=setting.momentum > 0
    )
    return Steps(optimizer, per_batch=schedule)


def _cyclic(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    # Smith (2017) advises a lower end of a quarter or a third, and two to ten epochs for half a cycle.
    half_cycle = max(1, min(4, setting.epochs // 4)) * setting.batches
    schedule = CyclicLR(
        optimizer, setting.lr / 4, setting.lr, half_cycle, mode="triangular2", cycle_momentum=False
    )
    return Steps(optimizer, per_batch=schedule)


def _plateau(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    patience = min(_PLATEAU_PATIENCE, setting.epochs // (2 * _PLATEAU_CUTS))
    return Steps(optimizer, per_epoch=ReduceLROnPlateau(optimizer, patience=patience))


SGD_BASELINES = (
    Baseline("sgd-constant", "SGD at one learning rate", _constant, GRID),
    Baseline("sgd-step", "SGD, divided by ten after half and three quarters of the epochs", _step, GRID),
    Baseline("sgd-cosine", "SGD, cosine to zero", _cosine, GRID),
    Baseline("sgd-linear", "SGD, linear to zero", _linear, GRID),
    Baseline("sgd-one-cycle", "SGD, up and down once (Smith 2018), torch's OneCycleLR", _one_cycle, GRID),
    Baseline("sgd-cyclic", "SGD, triangles of halving height (Smith 2017), torch's CyclicLR", _cyclic, GRID),
    Baseline("sgd-plateau", "SGD, divided by ten where the training loss stops falling", _plateau, GRID),
)
