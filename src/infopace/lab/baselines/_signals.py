"""Baselines whose rate follows a signal of the run: the loss, the norm of the weights, a test for stationarity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import AdamW

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.baselines._warmed import adamw
from infopace.lab.errors import InputError
from infopace.lab.steps import Steps

# Of the initial rate. The class itself has 1e-3, above the rates that are usual with Adam.
_FLOOR = 1e-2


class GreedySteps(Steps):
    """GreedyLR of transformers, which reads the loss of every batch, over an optimizer.

    Args:
        optimizer: AdamW.
        options: Arguments of GreedyLR instead of its defaults.

    Raises:
        InputError: transformers is not installed, or is older than GreedyLR.
    """

    def __init__(self, optimizer: AdamW, **options: Any) -> None:
        super().__init__(optimizer, wants_loss=True)
        try:
            from transformers.optimization import GreedyLR
        except ImportError as error:
            raise InputError(
                f"greedylr needs GreedyLR of transformers, got {error}; install infopace[transformers]"
            ) from error
        self._greedy = GreedyLR(optimizer, **options)

    def step(self, loss: Tensor, again: Callable[[], Tensor] | None = None) -> None:
        """Update the weights, and then the rate by the loss of the batch."""
        super().step(loss, again)
        self._greedy.step(float(loss.detach()))

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return super().state_dict() | {"greedy": self._greedy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        super().load_state_dict(state)
        self._greedy.load_state_dict(state["greedy"])


def _greedy(setting: Setting) -> Steps:
    return GreedySteps(adamw(setting))


def _greedy_repaired(setting: Setting) -> Steps:
    return GreedySteps(adamw(setting), min_lr=_FLOOR * setting.lr)


SIGNAL_BASELINES = (
    Baseline(
        "greedylr",
        "AdamW, GreedyLR (2025) of transformers as shipped: the rate cannot fall",
        _greedy,
        (),
        5e-5,
        planned=False,
        by_default=False,
    ),
    Baseline(
        "greedylr-repaired",
        "AdamW, GreedyLR (2025) with its lowest rate at a hundredth of the first",
        _greedy_repaired,
        (),
        1e-3,
        planned=False,
        by_default=False,
    ),
)
