"""An epoch that makes the network diverge or collapse is rolled back, and no other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from infopace import Bounds, MutualInformationLR, Probe, Vasudevan2020, find_bounds
from infopace.policies import simulate
from infopace.range_test import Race
from infopace.scheduler import RollBack, uncounted_steps

from ..small_run import BOUNDS, EPOCHS, OURS, Run, data, same


def collapsed(model: nn.Module) -> None:
    """Every example gets the same output."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()


def huge(model: nn.Module) -> None:
    """Beside these weights the earlier ones are rounding errors."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1e9)


def not_a_number(model: nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.nan


@pytest.mark.parametrize("layer_wise", [False, True])
@pytest.mark.parametrize("damage", [collapsed, huge, not_a_number])
def test_an_epoch_that_damages_the_network_is_rolled_back(layer_wise: bool, damage: Any) -> None:
    run = Run(layer_wise, OURS)
    run.epoch(0)
    run.scheduler.step()
    kept = copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict()["state"]))
    history = copy.deepcopy(run.scheduler.history)
    identities = [id(p) for p in run.model.parameters()]
    observe = run.scheduler.observe
    run.scheduler.observe = lambda: damage(run.model) or observe()
    run.epoch(1)
    run.scheduler.step()
    assert run.scheduler.rolled_back == [2]
    assert [id(p) for p in run.model.parameters()] == identities
    state, momenta = run.model.state_dict(), run.optimizer.state_dict()["state"]
    assert all(torch.equal(value, state[name]) for name, value in kept[0].items())
    assert momenta.keys() == kept[1].keys()
    assert all(torch.equal(momenta[i]["momentum_buffer"], kept[1][i]["momentum_buffer"]) for i in momenta)
    assert run.scheduler.history == history
    before, after = run.scheduler.decisions[1:]
    for one, two in zip(before, after, strict=True):
        assert two.lr == pytest.approx(0.5 * one.lr)
        assert two.reason.startswith("epoch 2 rolled back, lr_top and lr_max times 0.5: ")
    assert run.rates() == [decision.lr for decision in after]

    # A run that takes up its state goes on in the same way.
    again = Run(layer_wise, OURS)
    for part, state in (
        (again.model, run.model),
        (again.optimizer, run.optimizer),
        (again.scheduler, run.scheduler),
    ):
        part.load_state_dict(copy.deepcopy(state.state_dict()))
    for one in (run, again):
        one.scheduler.observe = type(one.scheduler).observe.__get__(one.scheduler)
        one.epoch(2)
        one.scheduler.step()
    assert same(again.scheduler.state_dict(), run.scheduler.state_dict())
    assert len(run.scheduler.history["output"]) == 3 and len(run.scheduler.decisions) == 4


def test_a_rolled_back_epoch_is_taken_off_the_number_of_epochs() -> None:
    run = Run(layer_wise=False)  # Vasudevan2020(6), with a time decay
    run.epoch(0)
    run.optimizer.step()
    run.scheduler.roll_back("the loss is nan")
    last = run.scheduler.decisions[-1][0]
    halved = Bounds(BOUNDS.lr_min, 0.5 * BOUNDS.lr_max)
    expected = simulate(
        Vasudevan2020(EPOCHS - 1),
        run.scheduler.history["output"],
        reference=run.scheduler.reference,
        bounds=halved,
    )[-1]
    assert last.lr == expected.lr and last.phase == expected.phase
    assert last.reason.endswith(f"; then {expected.reason}")


def test_a_network_that_learns_is_left_alone() -> None:
    """No roll-back where information falls by half and stays above the untrained value, or within noise."""
    run = Run(layer_wise=False, policy=OURS)
    for number in range(EPOCHS):
        run.epoch(number)
        run.scheduler.step()
    assert run.scheduler.rolled_back == []
    # A fall to less than half, which leaves more than untrained.
    run.scheduler.history["output"][0] = -1.0
    run.scheduler.history["output"][-1] = 4.0
    inputs, labels = data()
    nn.functional.cross_entropy(run.model(inputs), labels).backward()
    run.optimizer.step()
    assert 0.5 < run.scheduler.observe().output.estimate.nats < 2.0
    assert run.scheduler.rolled_back == []


def test_rolling_back_is_a_choice_and_needs_an_epoch() -> None:
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe.sample(data(), 200)
    scheduler = MutualInformationLR(optimizer, model, probe, bounds=BOUNDS, roll_back=False)
    inputs, labels = data()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    collapsed(model)
    assert not scheduler.can_roll_back
    assert abs(scheduler.observe().output.estimate.nats) < 0.05
    for one in (scheduler, MutualInformationLR(optimizer, model, probe, bounds=BOUNDS)):
        with pytest.raises(RuntimeError) as error:
            one.roll_back("the loss is nan")
        assert (
            str(error.value) == "there must be an epoch to roll back, got no step since the last observation"
        )


def test_the_thresholds_of_the_roll_back_are_a_choice() -> None:
    model, (inputs, labels) = nn.Linear(8, 4), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def scheduler_with(roll_back: RollBack) -> MutualInformationLR:
        probe = Probe.sample(data(), 200)
        return MutualInformationLR(optimizer, model, probe, bounds=BOUNDS, roll_back=roll_back)

    def step() -> None:
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()

    scheduler = scheduler_with(RollBack(lowered=0.25))
    step()
    for _ in range(2):
        scheduler.roll_back("as a test")
        step()
    assert [taken[0].lr for taken in scheduler.decisions] == [0.2, 0.05, 0.0125]
    assert "lr_top and lr_max times 0.25: as a test; then start at" in scheduler.decisions[1][0].reason
    # As if the outputs had carried twice as much before.
    for left, gone in ((0.6, [1]), (0.4, [])):
        scheduler = scheduler_with(RollBack(left=left))
        step()
        now = scheduler._pacer._subject.probe.measure(model).output.estimate.nats
        scheduler.history["output"][:] = [2 * now]
        scheduler._pacer.ledger.untrained = 2 * now
        scheduler.observe()
        assert scheduler.rolled_back == gone


def test_uncounted_steps_are_no_epoch() -> None:
    run = Run(layer_wise=False, policy=OURS)
    with uncounted_steps(run.optimizer):
        with uncounted_steps(run.optimizer):
            run.spare_step()
        run.spare_step()
    assert not run.scheduler.can_roll_back
    run.spare_step()
    assert run.scheduler.can_roll_back


def test_steps_of_a_range_test_are_no_epoch() -> None:
    run = Run(layer_wise=False, policy=OURS)
    inputs, labels = data()
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))
    find_bounds(
        run.model,
        run.optimizer,
        nn.functional.cross_entropy,
        batches,
        Probe.sample(data(), 200),
        epochs=2,
        method=Race(trials=1),
    )
    assert not run.scheduler.can_roll_back
    run.epoch(0)
    assert run.scheduler.rolled_back == []
