"""How often is measured, where it does not fit the plan, the loop or the clock."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
from torch import nn

from infopace import HoldAndDecay, MutualInformationLR, Probe, Vasudevan2020
from infopace.policies import Policy
from infopace.probe import Measuring
from infopace.scheduler import Pacer
from infopace.scheduler._units import Cadence

from ..small_run import BOUNDS, data


class Loop:
    """A step-based loop."""

    def __init__(
        self,
        policy: Policy,
        every: int | str,
        *,
        measured: float = 0.0,
        warmup: int = 0,
        tensor: bool = False,
        share: float = 1.0,
    ) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        groups = [
            {"params": list(self.model[0].parameters())},
            {"params": list(self.model[2].parameters()), "lr": 0.1 * share},
        ]
        groups = self.model.parameters() if share == 1.0 else groups
        self.optimizer = torch.optim.SGD(groups, lr=torch.tensor(0.1) if tensor else 0.1)
        inputs, labels = data()
        self.scheduler = MutualInformationLR(
            self.optimizer,
            self.model,
            Probe(inputs[:200], labels[:200]),
            BOUNDS,
            policy,
            every=every,
            warmup=warmup,
            measuring=Measuring(std_error=False),
        )
        if measured:
            self.scheduler._pacer.seconds = measured

    def train(self, steps: int) -> list[float]:
        inputs, labels, rates = *data(), []
        for _ in range(steps):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs[:50]), labels[:50]).backward()
            self.optimizer.step()
            rates.append(float(self.optimizer.param_groups[0]["lr"]))
        return rates


@pytest.mark.parametrize(("steps", "every"), [(30, 10), (60, 10), (60, 50), (79, 40), (2, 1), (150, 100)])
def test_a_short_plan_decays_too(steps: int, every: int) -> None:
    loop = Loop(HoldAndDecay(steps=steps), every)
    rates = loop.train(steps)
    assert rates[-1] < 0.6 * max(rates)
    assert all(math.isfinite(rate) for rate in rates)
    loop.train(every)
    assert loop.scheduler.finished


@pytest.mark.parametrize("policy", [HoldAndDecay(steps=100), Vasudevan2020(steps=100)])
@pytest.mark.parametrize("every", [100, 1000])
def test_a_plan_that_ends_before_the_first_measurement_is_refused(policy: Policy, every: int) -> None:
    with pytest.raises(ValueError) as error:
        Loop(policy, every)
    wanted = "every must be less than the planned steps, or the rate would never decay"
    assert str(error.value) == f"{wanted}, got every = {every} with steps = 100"


def test_auto_measures_twice_in_planned_steps_however_long_it_takes() -> None:
    loop = Loop(HoldAndDecay(steps=100), "auto", measured=60.0)
    with pytest.warns(UserWarning, match="takes 50 instead, for 100 planned steps; give every=.."):
        rates = loop.train(100)
    assert loop.scheduler.every == 50
    assert loop.scheduler.finished
    assert rates[-1] < 0.1 * max(rates)


def test_auto_is_not_misled_by_a_pause() -> None:
    def chosen(pauses: dict[int, float]) -> int | None:
        cadence = Cadence("auto")
        starts = itertools.accumulate(0.1 + pauses.get(step, 0.0) for step in range(20))
        assert cadence.choose(0.05, list(starts))
        return cadence.every

    for pauses in ({}, {7: 100.0}, {5: 3.0, 12: 9.0}):
        assert chosen(pauses) == pytest.approx(50, abs=1)


def test_observations_besides_do_not_stretch_the_plan() -> None:
    loop = Loop(HoldAndDecay(steps=400), 20)
    for _ in range(40):
        loop.train(11)
        loop.scheduler.observe()
    assert loop.scheduler.finished
    assert len(loop.scheduler.decisions) == 12


def pacer(every: int | str) -> Pacer:
    inputs, labels = data()
    model, measuring = nn.Linear(8, 4), Measuring(std_error=False)
    probe = Probe(inputs[:200], labels[:200])
    return Pacer(model, probe, BOUNDS, HoldAndDecay(steps=80), every=every, measuring=measuring)


def test_a_pacer_chooses_its_cadence_too() -> None:
    ours = pacer("auto")
    ours.seconds = 0.0
    for _ in range(90):
        ours.decide(1)
    assert ours.cadence.every == 1
    assert ours.finished
    fewer = pacer("auto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a step takes no time here, so that it would measure seldom
        for _ in range(20):
            fewer.decide(5)
    assert fewer.finished


def test_a_pacer_s_steps_add_up_where_they_are_no_multiple_of_every() -> None:
    ours = pacer(10)
    done = 0
    while not ours.finished:
        ours.decide(8)
        done += 8
    assert 80 <= done <= 96


def test_a_pacer_is_not_told_of_several_units_at_once() -> None:
    ours = pacer(10)
    with pytest.raises(
        ValueError, match="steps must be at most a unit of time, 40 steps, got 1000; call decide"
    ):
        ours.decide(1000)
    assert ours.unit.steps == 0


def test_a_warm_up_and_the_end_are_explained() -> None:
    loop = Loop(HoldAndDecay(steps=200), 20, warmup=100)
    loop.train(240)
    lines = loop.scheduler.explain().splitlines()
    assert lines[0].startswith("steps 1 to 40: lr 0.002 to 0.08 with a warm-up: start at lr_top")
    assert lines[-1] == "steps 201 to 280: lr 0.001: finished after step 200"
    assert [" with a warm-up" in line for line in lines] == [True] * (len(lines) - 2) + [False, False]


@pytest.mark.parametrize(("steps", "end"), [(200, 210), (230, 230)])
def test_the_unit_that_runs_is_explained_by_its_way(steps: int, end: int) -> None:
    """Not by its mean; a plan may end within it."""
    loop = Loop(HoldAndDecay(steps=end), 30)
    rates = loop.train(steps)
    assert loop.scheduler.finished == (steps == end)
    last = loop.scheduler.explain().splitlines()[-1]
    first, to = (f"{rate:.4g}" for rate in (rates[120], BOUNDS.lr_min))
    assert last.startswith(f"steps 121 to {end}: lr {first} to {to}: decaying")


def test_rates_that_are_tensors_are_explained_without_a_word_of_other_code() -> None:
    plain, tensors = Loop(HoldAndDecay(steps=200), 20), Loop(HoldAndDecay(steps=200), 20, tensor=True)
    assert plain.train(210) == pytest.approx(tensors.train(210))  # a warning would be an error
    assert tensors.scheduler.explain() == plain.scheduler.explain()
    assert tensors.scheduler.get_last_lr() == [float(tensors.optimizer.param_groups[0]["lr"])]


def test_another_scheduler_is_told_that_its_rate_is_set_back() -> None:
    loop = Loop(HoldAndDecay(), 20)
    torch.optim.lr_scheduler.LinearLR(loop.optimizer, 0.1)
    with pytest.warns(
        UserWarning, match=r"with every=\.\. and after a search it is set back before each step"
    ):
        loop.train(2)


def test_a_decision_of_a_group_moves_by_its_share() -> None:
    loop = Loop(HoldAndDecay(steps=400), 20, share=0.1)
    loop.train(240)
    ours, other = loop.scheduler.decisions[-1]
    assert other.lr == pytest.approx(0.1 * ours.lr)
    assert other.change == pytest.approx(0.1 * ours.change) != 0
