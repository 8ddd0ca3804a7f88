"""Schedules with a warm-up that end with the planned run: cosine, hold and linear decay, over several optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import AdamW, NAdam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from infopace.lab.baselines._adaptive import DECOUPLED_DECAY
from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.baselines._sgd import sgd
from infopace.lab.optimizers import ADAM_GRID, SGD_GRID, MuonRecipe
from infopace.lab.steps import Steps

_WARM_UP = 0.05
_DECAY = 0.2  # the usual 10 to 20 % of the run
# The self-tuning baseline of AlgoPerf, in full: prize_qualification_baselines/self_tuning/pytorch_nadamw_full_budget.py
_NADAMW_BETAS, _NADAMW_DECAY, _NADAMW_WARM_UP = (
    (1 - 0.06733926164, 0.9955159689799007),
    0.08121616522670176,
    0.02,
)
_ALPHA, _ADEMAMIX_BETAS = 5.0, (0.9, 0.999, 0.9999)


def warm_up_cosine(steps: int, warm_up: int) -> Callable[[int], float]:
    """Factor of the peak for batch t = 0, 1, ...: (t + 1) / W for t < W, then (1 + cos(pi (t - W) / (T - W))) / 2."""

    def factor(t: int) -> float:
        if t < warm_up:
            return (t + 1) / warm_up
        done = min(1.0, (t - warm_up) / max(1, steps - warm_up))
        return (1 + math.cos(math.pi * done)) / 2

    return factor


def warm_up_hold_decay(steps: int, warm_up: int, decay: int) -> Callable[[int], float]:
    """Factor of the peak for batch t = 0, 1, ...: min(1, (t + 1) / W) min(1, (T - t) / D), and 0 from T on."""

    def factor(t: int) -> float:
        rising = 1.0 if t >= warm_up else (t + 1) / warm_up
        return rising * max(0.0, min(1.0, (steps - t) / max(1, decay)))

    return factor


def _cosine(optimizer: Optimizer, setting: Setting) -> LambdaLR:
    return LambdaLR(optimizer, warm_up_cosine(setting.steps, round(_WARM_UP * setting.steps)))


def _trapezoid(optimizer: Optimizer, setting: Setting) -> LambdaLR:
    lengths = (round(share * setting.steps) for share in (_WARM_UP, _DECAY))
    return LambdaLR(optimizer, warm_up_hold_decay(setting.steps, *lengths))


def adamw(setting: Setting) -> AdamW:
    """AdamW with torch's constants at the baseline's learning rate."""
    return AdamW(setting.model.parameters(), lr=setting.lr, weight_decay=DECOUPLED_DECAY)


def _sgd_warm_up_cosine(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    return Steps(optimizer, per_batch=_cosine(optimizer, setting))


def _adamw_warm_up_cosine(setting: Setting) -> Steps:
    optimizer = setting.adamw.build(setting.model, setting.lr)
    return Steps(optimizer, per_batch=_cosine(optimizer, setting))


def _adamw_linear(setting: Setting) -> Steps:
    optimizer = adamw(setting)
    return Steps(optimizer, per_batch=LinearLR(optimizer, 1.0, 0.0, setting.steps))


def _wsd(setting: Setting) -> Steps:
    optimizer = adamw(setting)
    return Steps(optimizer, per_batch=_trapezoid(optimizer, setting))


def _nadamw_cosine(setting: Setting) -> Steps:
    # AlgoPerf's NAdamW has one constant momentum. torch's has a schedule of it, beta (1 - 0.96^(t momentum_decay) / 2),
    # which this decay ends before the first step. What differs still is the correction of the average for its start at
    # 0: 1 - beta^(t + 1) here and 1 - beta^t there, less than 1 % after 60 steps.
    optimizer = NAdam(
        setting.model.parameters(),
        lr=setting.lr,
        betas=_NADAMW_BETAS,
        weight_decay=_NADAMW_DECAY,
        decoupled_weight_decay=True,
        momentum_decay=1e6,
    )
    shape = warm_up_cosine(setting.steps, int(_NADAMW_WARM_UP * setting.steps))
    return Steps(optimizer, per_batch=LambdaLR(optimizer, shape))


def _ademamix(setting: Setting) -> Steps:
    from pytorch_optimizer import AdEMAMix

    optimizer = AdEMAMix(
        setting.model.parameters(),
        lr=setting.lr,
        betas=_ADEMAMIX_BETAS,
        alpha=_ALPHA,
        t_alpha_beta3=setting.steps,
        weight_decay=DECOUPLED_DECAY,
        weight_decouple=True,
    )
    return Steps(optimizer, per_batch=_cosine(optimizer, setting))


def _muon(setting: Setting) -> Steps:
    optimizer = MuonRecipe().build(setting.model, setting.lr)
    return Steps(optimizer, per_batch=_trapezoid(optimizer, setting))


WARMED_BASELINES = (
    Baseline(
        "sgd-warmup-cosine",
        "SGD, 5 % warm-up, cosine to zero",
        _sgd_warm_up_cosine,
        SGD_GRID,
        0.1,
        by_default=False,
    ),
    Baseline(
        "adamw-warmup-cosine",
        "AdamW, 5 % warm-up, cosine to zero",
        _adamw_warm_up_cosine,
        ADAM_GRID,
        1e-3,
        by_default=False,
    ),
    Baseline(
        "nadamw-cosine",
        "NAdamW, 2 % warm-up, cosine to zero, as AlgoPerf has it",
        _nadamw_cosine,
        (),
        0.0017486387539278373,
        by_default=False,
    ),
    Baseline(
        "wsd", "AdamW, 5 % warm-up, hold, linear over the last 20 %", _wsd, ADAM_GRID, 1e-3, by_default=False
    ),
    Baseline("adamw-linear", "AdamW, linear to zero", _adamw_linear, ADAM_GRID, 1e-3, by_default=False),
    Baseline(
        "ademamix",
        "Adam with a fast and a slow average (Pagliardini 2024), 5 % warm-up, cosine to zero",
        _ademamix,
        ADAM_GRID,
        1e-3,
        by_default=False,
    ),
    Baseline(
        "muon",
        "Muon (Jordan 2024) with AdamW, 5 % warm-up, hold, linear over the last 20 %",
        _muon,
        ADAM_GRID,
        1e-3,
        by_default=False,
    ),
)
