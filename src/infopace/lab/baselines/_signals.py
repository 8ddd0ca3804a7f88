"""Baselines whose rate follows a signal of the run: the loss, the norm of the weights, a test for stationarity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import AdamW

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.baselines._sgd import sgd
from infopace.lab.baselines._warmed import adamw
from infopace.lab.errors import InputError
from infopace.lab.optimizers import ABEL, SALSA, SASA, SGD_GRID
from infopace.lab.steps import Steps

# Of the initial rate. The class itself has 1e-3, above the rates that are usual with Adam.
_FLOOR = 1e-2
# The first test of SASA+ needs more than 8000 steps. In a plan of this many they are the first eighth.
_CADENCE_OF = 64_000


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
                f'greedylr needs transformers 5 or newer: pip install "infopace[transformers]" ({error})'
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


def _abel(setting: Setting) -> Steps:
    optimizer = sgd(setting)
    return Steps(optimizer, per_epoch=ABEL(optimizer, setting.epochs))


class SalsaSteps(Steps):
    """SALSA, which searches along the gradient before every step."""

    def step(self, loss: Tensor, again: Callable[[], Tensor] | None = None) -> None:
        """Update the weights, after the backward pass of `loss`."""
        self.optimizer.step(None if again is None else lambda: float(again()))


def _sgd_numbers(setting: Setting) -> dict[str, Any]:
    return {"momentum": setting.sgd.momentum, "weight_decay": setting.sgd.weight_decay}


def _cadence(setting: Setting) -> dict[str, Any]:
    """The published cadence, a test every 100 steps on more than 1000 values, or for a short plan its share of it."""
    share = min(1.0, setting.budget_steps / _CADENCE_OF)
    return {"least": max(16, round(1000 * share)), "every": max(1, round(100 * share))}


def _sasa(setting: Setting) -> Steps:
    return Steps(SASA(setting.model.parameters(), setting.lr, **_sgd_numbers(setting), as_shipped=True))


def _sasa_repaired(setting: Setting) -> Steps:
    return Steps(SASA(setting.model.parameters(), setting.lr, **_sgd_numbers(setting), **_cadence(setting)))


def _salsa(setting: Setting, *, as_shipped: bool = True) -> Steps:
    optimizer = SALSA(
        setting.model.parameters(),
        setting.lr,
        gamma=setting.batches**-0.5,
        as_shipped=as_shipped,
        **_sgd_numbers(setting),
        **({} if as_shipped else _cadence(setting)),
    )
    return SalsaSteps(optimizer)


def _salsa_repaired(setting: Setting) -> Steps:
    return _salsa(setting, as_shipped=False)


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
    Baseline(
        "abel",
        "SGD, divided by ten where the norm of the weights has bounced, and near the end (Lewkowycz 2021)",
        _abel,
        SGD_GRID,
        0.1,
        by_default=False,
    ),
    Baseline(
        "sasa-plus",
        "SGD, divided by ten where a test finds it stationary (Lang 2019), as statopt ships it",
        _sasa,
        (),
        1.0,
        planned=False,
        by_default=False,
    ),
    Baseline(
        "sasa-plus-repaired",
        "SGD, divided by ten where a test by batch means finds it stationary (Lang 2019)",
        _sasa_repaired,
        (),
        1.0,
        planned=False,
        by_default=False,
    ),
    Baseline(
        "salsa",
        "SASA+ after a line search for its first rate (Zhang 2020), as statopt ships it",
        _salsa,
        (),
        1e-3,
        planned=False,
        by_default=False,
    ),
    Baseline(
        "salsa-repaired",
        "SASA+ by batch means after a line search for its first rate (Zhang 2020)",
        _salsa_repaired,
        (),
        1e-3,
        planned=False,
        by_default=False,
    ),
)
