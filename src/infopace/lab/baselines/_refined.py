"""Refined linear decay: a schedule learnt from the gradient norms of a pilot run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.baselines._warmed import adamw
from infopace.lab.errors import InputError
from infopace.lab.steps import Steps

_WIDTH = 0.1  # of the median filter, as a share of the run


def refined(norms: np.ndarray) -> np.ndarray:
    """The schedule (T,) for the gradient norms (T,) of a run of T steps, with the mean of linear decay.

    With the norms G_t, smoothed by a running median over a tenth of the run, and w_t = 1 / G_t,

        factor_t = (w_t / mean w) sum_{s > t} w_s / sum w

    so the last step is 0, the mean is about 1/2, and constant norms give linear decay. The authors scale the maximum to
    1 and tune the rate anew. For one fixed rate the mean is kept instead [reading]. G is the sum of absolute values,
    and the power -1, as the authors have it for Adam; for SGD they take the Euclidean norm and the power -2.

    Defazio, Cutkosky, Mehta, Mishchenko (2023), When, why and how much? Adaptive learning rate scheduling by
    refinement, arXiv:2310.07831; the filter's width and padding from their repository adaptive_scheduling.
    """
    from scipy.ndimage import median_filter

    count = len(norms)
    if count < 2:
        return np.zeros(count)
    width = 2 * (int(_WIDTH * count) // 2) + 1
    padded = np.pad(norms, (0, 2 * width), mode="reflect")
    smooth = median_filter(padded, size=width, mode="nearest")[:count]
    # A norm of 0 or beyond float64 says nothing about its step.
    sound = smooth[np.isfinite(smooth) & (smooth > 0)]
    weights = (
        np.ones(count) if not len(sound) else 1 / np.clip(np.nan_to_num(smooth), sound.min(), sound.max())
    )
    after = np.append(np.cumsum(weights[::-1])[::-1][1:], 0.0)
    return weights / weights.mean() * after / weights.sum()


class RefinedSteps(Steps):
    """A pilot run with linear decay over the first half of the batches, then the run from the same weights.

    The pilot records the sum of the absolute values of each step's gradient. Then weights and statistics of batch norm
    are those of the start again, the optimizer is new, and the schedule is `refined`. So the method costs two runs.

    Args:
        setting: The run, pilot included.

    Raises:
        InputError: fewer than four batches.
    """

    def __init__(self, setting: Setting) -> None:
        if setting.steps < 4:
            raise InputError(
                f"refined-linear needs at least 4 batches, two for its pilot, got {setting.steps}"
            )
        optimizer, pilot = adamw(setting), setting.steps // 2
        super().__init__(optimizer, per_batch=LinearLR(optimizer, 1.0, 0.0, pilot))
        self._setting, self._done, self._norms = setting, 0, torch.zeros(pilot, dtype=torch.float64)
        # A resumed run starts at these weights too, before it loads its own.
        self._start = {name: value.detach().clone() for name, value in setting.model.state_dict().items()}

    def step(self, loss: Tensor, again: Callable[[], Tensor] | None = None) -> None:
        """Update the weights; after the last batch of the pilot go back to the start."""
        if self._done < len(self._norms):
            self._norms[self._done] = self._gradient()
        super().step(loss, again)
        self._done += 1
        if self._done == len(self._norms):
            self._setting.model.load_state_dict(self._start)
            self._refine()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return super().state_dict() | {"pilot": {"done": self._done, "norms": self._norms}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._done, self._norms = state["pilot"]["done"], state["pilot"]["norms"].cpu()
        if self._done >= len(self._norms):
            self._refine()
        super().load_state_dict(state)

    def _refine(self) -> None:
        factors = refined(self._norms.numpy()).tolist()
        self.optimizer = adamw(self._setting)
        # With an odd number of batches the run has one more than the pilot.
        self._per_batch = LambdaLR(self.optimizer, lambda t: factors[min(t, len(factors) - 1)])

    def _gradient(self) -> float:
        grads = [p.grad for p in self._setting.model.parameters() if p.grad is not None]
        return float(torch.stack([grad.abs().sum().double() for grad in grads]).sum())


REFINED_BASELINES = (
    Baseline(
        "refined-linear",
        "AdamW, a schedule from the gradients of a pilot run in its first half (Defazio 2023)",
        RefinedSteps,
        (),
        1e-3,
        by_default=False,
    ),
)
