"""Baselines that find the scale of their learning rate themselves. Their lr is only a multiplier."""

from __future__ import annotations

import contextlib
import io

from torch.optim.lr_scheduler import CosineAnnealingLR

from infopace.lab.baselines._adaptive import DECOUPLED_DECAY
from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.optimizers import L4Mom, YamAdam
from infopace.lab.steps import Steps


def _prodigy(setting: Setting) -> Steps:
    from prodigyopt import Prodigy

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that its decay is decoupled
        optimizer = Prodigy(
            setting.model.parameters(),
            lr=setting.lr,
            weight_decay=DECOUPLED_DECAY,  # pyright: ignore[reportArgumentType]
        )
    return Steps(optimizer, per_batch=CosineAnnealingLR(optimizer, setting.steps))


def _d_adaptation(setting: Setting) -> Steps:
    from pytorch_optimizer import DAdaptAdam

    # [measured] On digits (ten epochs, seed 0) the SGD form stayed at chance, 0.100. This form reached 0.967.
    optimizer = DAdaptAdam(
        setting.model.parameters(),
        lr=setting.lr,
        weight_decay=DECOUPLED_DECAY,
        weight_decouple=True,
    )
    return Steps(optimizer, per_batch=CosineAnnealingLR(optimizer, setting.steps))


def _l4(setting: Setting) -> Steps:
    optimizer = L4Mom(setting.model.parameters(), setting.lr, weight_decay=setting.sgd.weight_decay)
    return Steps(optimizer, wants_loss=True)


def _yamadam(setting: Setting) -> Steps:
    return Steps(YamAdam(setting.model.parameters(), setting.lr, weight_decay=setting.sgd.weight_decay))


SELF_TUNED_BASELINES = (
    Baseline(
        "prodigy",
        "Adam that finds its scale (Mishchenko 2023), decay 0.01, cosine to zero",
        _prodigy,
        (),
        1.0,
    ),
    Baseline(
        "d-adaptation",
        "Adam that finds its scale (Defazio 2023), decay 0.01, cosine to zero",
        _d_adaptation,
        (),
        1.0,
    ),
    Baseline(
        "l4",
        "SGD with momentum whose step follows the loss still to lose (Rolínek 2018)",
        _l4,
        (),
        0.15,
        planned=False,
    ),
    Baseline("yamadam", "Adam without a learning rate (Yamada 2018)", _yamadam, (), 1.0, planned=False),
)
