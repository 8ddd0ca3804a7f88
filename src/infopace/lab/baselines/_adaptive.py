"""Adam, AdamW and RMSprop from torch, with its default constants."""

from __future__ import annotations

from torch.optim import Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.optimizers import ADAM_GRID
from infopace.lab.steps import Steps

# torch's default for AdamW. The decay of a workload is a penalty in the loss, chosen for the rates of SGD. A decoupled
# decay is multiplied by a rate a hundred times smaller, so the same value would have almost no effect.
DECOUPLED_DECAY = 0.01

# RMSprop has no momentum and no bias correction, and diverges at lower rates.
_RMSPROP_GRID = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)


def _adam(setting: Setting) -> Steps:
    return Steps(Adam(setting.model.parameters(), lr=setting.lr, weight_decay=setting.sgd.weight_decay))


def _adamw_cosine(setting: Setting) -> Steps:
    optimizer = AdamW(setting.model.parameters(), lr=setting.lr, weight_decay=DECOUPLED_DECAY)
    return Steps(optimizer, per_batch=CosineAnnealingLR(optimizer, setting.steps))


def _rmsprop(setting: Setting) -> Steps:
    return Steps(RMSprop(setting.model.parameters(), lr=setting.lr, weight_decay=setting.sgd.weight_decay))


ADAPTIVE_BASELINES = (
    Baseline("adam", "Adam at one learning rate", _adam, ADAM_GRID, 1e-3, planned=False),
    Baseline("adamw-cosine", "AdamW, decay 0.01, cosine to zero", _adamw_cosine, ADAM_GRID, 1e-3),
    Baseline("rmsprop", "RMSprop at one learning rate", _rmsprop, _RMSPROP_GRID, 1e-3, planned=False),
)
