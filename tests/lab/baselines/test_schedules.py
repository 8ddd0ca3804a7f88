"""Where the rates of the baselines' schedules begin, turn and end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from infopace.lab.baselines import BASELINES, Setting

Settings = Callable[..., Setting]


def rates(setting: Setting, name: str, loss: float = 1.0) -> list[float]:
    """The rate of each batch, multiplied by no scale that was found, and the one after the last."""
    steps = BASELINES[name].build(setting)
    found: list[float] = []
    for _ in range(setting.epochs):
        for _ in range(setting.batches):
            found.append(steps.optimizer.param_groups[0]["lr"])
            steps.optimizer.zero_grad()
            output = setting.model(torch.ones(4, 3)).square().mean()
            output.backward()
            steps.step(output)
        steps.end_epoch(loss)
    return [*found, steps.optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("name", "at_half"),
    [
        ("sgd-cosine", 0.5),
        ("sgd-linear", 0.5),
        ("adamw-cosine", 0.5),
        ("prodigy", 0.5),
        ("d-adaptation", 0.5),
        ("lars", 0.25),
    ],
)
def test_to_zero_batch_by_batch(setting: Settings, name: str, at_half: float) -> None:
    found = rates(setting(), name)
    assert len(found) == 81
    assert found[0] == 0.1
    assert found[40] == pytest.approx(0.1 * at_half)
    assert found[80] == pytest.approx(0, abs=1e-12)
    assert all(rate > after >= 0 for rate, after in pairwise(found))


@pytest.mark.parametrize(
    "name", ["sgd-constant", "adam", "rmsprop", "schedule-free-sgd", "schedule-free-adamw"]
)
def test_constant(setting: Settings, name: str) -> None:
    assert set(rates(setting(), name)) == {0.1}


def test_tenths(setting: Settings) -> None:
    found = rates(setting(), "sgd-step")
    assert found == pytest.approx(
        [0.1] * 40 + [0.01] * 24 + [0.001] * 17
    )  # from 8 epochs of 10 (7.5 rounded) on


def test_one_cycle_peaks_at_the_rate(setting: Settings) -> None:
    found = rates(setting(), "sgd-one-cycle")
    assert max(found) == pytest.approx(0.1, rel=1e-3)  # the peak lies between two batches
    assert found.index(max(found)) == pytest.approx(0.3 * 80, abs=1)
    assert found[0] == pytest.approx(0.1 / 25)
    assert found[80] == pytest.approx(0.1 / 25e4)


def test_triangles_that_halve(setting: Settings) -> None:
    found = rates(setting(), "sgd-cyclic")  # half a cycle: two epochs
    assert found[0] == pytest.approx(0.025)
    assert found[16] == pytest.approx(0.1)
    assert found[32] == pytest.approx(0.025)
    assert found[48] == pytest.approx(0.025 + 0.075 / 2)


def test_the_plateau_rule_cuts_where_the_loss_stands_still(setting: Settings) -> None:
    assert rates(setting(epochs=40), "sgd-plateau")[-1] == pytest.approx(0.1 * 0.1**6)  # every sixth epoch
    assert rates(setting(), "sgd-plateau")[8 * 3] == pytest.approx(0.01)


def test_a_warm_up_is_shown(setting: Settings) -> None:
    steps: Any = BASELINES["schedule-free-sgd"].build(setting())
    assert steps.lrs() == [pytest.approx(0.1 / 4)]  # 5 % of 80 batches
    used: list[float] = []
    for _ in range(6):
        shown = steps.lrs()
        loss = torch.stack([p.square().sum() for p in steps.optimizer.param_groups[0]["params"]]).sum()
        loss.backward()
        steps.step(loss)
        used.append(steps.optimizer.param_groups[0]["scheduled_lr"])
        assert used[-1] == shown[0]
    assert used == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
