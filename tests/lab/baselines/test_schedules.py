"""Where the rates of the baselines' schedules begin, turn and end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from infopace.lab.baselines import BASELINES, Setting
from infopace.lab.optimizers import AdamWRecipe

Settings = Callable[..., Setting]


def _loss(model: nn.Module) -> torch.Tensor:
    return model(torch.ones(4, 3)).square().mean()


def rates(setting: Setting, name: str, loss: float = 1.0) -> list[float]:
    """The rate of each batch, multiplied by no scale that was found, and the one after the last."""
    steps = BASELINES[name].build(setting)
    found: list[float] = []
    for _ in range(setting.epochs):
        for _ in range(setting.batches):
            found.append(steps.optimizer.param_groups[0]["lr"])
            steps.optimizer.zero_grad()
            again = functools.partial(_loss, setting.model)
            output = again()
            output.backward()
            steps.step(output, again)
        steps.end_epoch(loss)
    return [*found, steps.optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("name", "at_half"),
    [
        ("sgd-cosine", 0.5),
        ("sgd-linear", 0.5),
        ("adamw-cosine", 0.5),
        ("adamw-linear", 0.5),
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
    "name",
    [
        "sgd-constant",
        "adam",
        "rmsprop",
        "schedule-free-sgd",
        "schedule-free-adamw",
        "schedule-free-adamw-algoperf",
    ],
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


# By interpolation between the corners, with the peak 0.1, for 80 batches. A warm-up of 4 batches begins at a quarter.
@pytest.mark.parametrize(
    ("name", "warm_up"),
    [("sgd-warmup-cosine", 4), ("adamw-warmup-cosine", 4), ("ademamix", 4), ("nadamw-cosine", 1)],
)
def test_a_warm_up_and_a_cosine(setting: Settings, name: str, warm_up: int) -> None:
    found = rates(setting(), name)
    rising = np.linspace(0.1 / warm_up, 0.1, warm_up)
    falling = 0.05 * (1 + np.cos(np.linspace(0, np.pi, 81 - warm_up)))
    assert found == pytest.approx([*rising, *falling], abs=1e-12)


@pytest.mark.parametrize("name", ["wsd", "muon"])
def test_a_warm_up_a_hold_and_a_linear_decay(setting: Settings, name: str) -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    corners = np.interp(range(81), [0, 3, 64, 80], [0.025, 0.1, 0.1, 0.0])
    assert rates(setting(model=model), name) == pytest.approx(list(corners), abs=1e-12)


def test_the_plan_sets_what_a_run_that_goes_on_begins_with(setting: Settings) -> None:
    for name in ("schedule-free-sgd", "schedule-free-adamw", "schedule-free-adamw-algoperf"):
        warm_ups = [
            BASELINES[name].build(made).optimizer.param_groups[0]["warmup_steps"]
            for made in (setting(epochs=100), setting(epochs=150, budget=100), setting(epochs=150))
        ]
        assert warm_ups[0] == warm_ups[1] < warm_ups[2], name
    assert (
        rates(setting(epochs=60, budget=40), "sgd-plateau")[:320]
        == rates(setting(epochs=40), "sgd-plateau")[:320]
    )


def test_what_goes_on_after_the_plan_does_not_depend_on_the_length_of_the_run(setting: Settings) -> None:
    for name, baseline in BASELINES.items():
        model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        weights = {key: value.clone() for key, value in model.state_dict().items()}
        runs: list[list[float]] = []
        for epochs in (8, 12):
            model.load_state_dict(weights)
            runs.append(rates(setting(model=model, epochs=epochs, batches=3, budget=8), name)[:24])
        assert (runs[0] == runs[1]) != baseline.planned, name


def test_adamw_has_the_numbers_of_the_workload(setting: Settings) -> None:
    steps = BASELINES["adamw-warmup-cosine"].build(
        setting(adamw=AdamWRecipe(betas=(0.8, 0.9), weight_decay=0.3))
    )
    group = steps.optimizer.param_groups[0]
    assert (group["betas"], group["weight_decay"]) == ((0.8, 0.9), 0.3)
    group = BASELINES["wsd"].build(setting(adamw=AdamWRecipe(betas=(0.8, 0.9)))).optimizer.param_groups[0]
    assert group["betas"] == (0.9, 0.999)
