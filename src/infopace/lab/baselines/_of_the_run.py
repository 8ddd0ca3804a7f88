"""Schedules over the optimizer of the run, whichever it is: that of the workload, or of `--optimizer`."""

from __future__ import annotations

from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.steps import Steps


def _cosine(setting: Setting) -> Steps:
    optimizer = setting.optimizer.build(setting.model, setting.lr)
    return Steps(optimizer, per_batch=CosineAnnealingLR(optimizer, setting.steps))


def _linear(setting: Setting) -> Steps:
    optimizer = setting.optimizer.build(setting.model, setting.lr)
    return Steps(optimizer, per_batch=LinearLR(optimizer, 1.0, 0.0, setting.steps))


BASELINES_OF_THE_RUN = (
    Baseline("cosine", "the optimizer of the run, cosine to zero", _cosine, (), of_the_run=True),
    Baseline("linear", "the optimizer of the run, linear to zero", _linear, (), of_the_run=True),
)
