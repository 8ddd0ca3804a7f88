"""Schedules with a warm-up that end with the planned run: cosine, hold and linear decay, over several optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import AdamW, Muon, NAdam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from infopace.lab.baselines._adaptive import DECOUPLED_DECAY
from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.baselines._sgd import sgd
from infopace.lab.errors import InputError
from infopace.lab.optimizers import ADAM_GRID, SGD_GRID, MuonRecipe
from infopace.lab.steps import Steps
from infopace.scheduler import Optimizers

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


class MuonSteps(Steps):
    """Muon for matrices and for convolutions, each kernel as a matrix with a row for each output channel.

    torch's Muon takes matrices only. So it gets matrices that share the memory of the weights, and their gradients
    before each step.

    Args:
        matrices: Matrices and kernels of convolutions.
        others: All other weights, for AdamW.
        setting: The run.
    """

    def __init__(self, matrices: list[nn.Parameter], others: list[nn.Parameter], setting: Setting) -> None:
        recipe = MuonRecipe()
        self._weights = matrices
        self._flat = [nn.Parameter(as_matrix(weight.detach(), weight)) for weight in matrices]
        muon = Muon(
            self._flat,
            setting.lr,
            recipe.weight_decay,
            recipe.momentum,
            recipe.nesterov,
            adjust_lr_fn="match_rms_adamw",
        )
        rest = AdamW(others, setting.lr, recipe.betas, weight_decay=recipe.weight_decay) if others else None
        optimizer = Optimizers([muon] if rest is None else [muon, rest])
        super().__init__(optimizer, per_batch=_trapezoid(optimizer, setting))

    def step(self, loss: Tensor, again: Callable[[], Tensor] | None = None) -> None:
        """Update the weights, after the backward pass of `loss`."""
        for weight, flat in zip(self._weights, self._flat, strict=True):
            flat.grad = None if weight.grad is None else as_matrix(weight.grad, weight)
            weight.grad = None  # the optimizer's zero_grad does not reach it
        super().step(loss, again)


def as_matrix(values: Tensor, weight: Tensor) -> Tensor:
    """Values (out, in, ...) of a weight as (out, k), with columns in the order of the weight's memory.

    So the matrix of the weight itself shares its memory, in channels-last format too.
    """
    inner = sorted(range(1, weight.ndim), key=weight.stride, reverse=True)
    return values.permute(0, *inner).flatten(1)


def _muon(setting: Setting) -> Steps:
    modules = list(setting.model.modules())
    outer = [module.weight for module in modules if isinstance(module, nn.Embedding)]
    outer += [module.weight for module in modules if isinstance(module, nn.Linear)][-1:]
    apart = set(outer)
    weights = list(setting.model.parameters())
    kernels = {module.weight for module in modules if isinstance(module, _ConvNd)}
    matrices = [w for w in weights if w in kernels or (w.ndim == 2 and w not in apart)]
    if not matrices:
        raise InputError(
            "muon needs a hidden layer with a matrix of weights or a convolution, got none in this model"
        )
    chosen = set(matrices)
    return MuonSteps(matrices, [weight for weight in weights if weight not in chosen], setting)


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
