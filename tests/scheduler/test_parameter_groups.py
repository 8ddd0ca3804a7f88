"""Ratios between parameter groups are kept, and groups that come later take part."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, layer_groups
from infopace.policies import simulate

from ..small_run import BOUNDS, MEASURING, data, same

LOW = Bounds(1e-3, 0.1)


def net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def scheduled(
    model: nn.Module, optimizer: torch.optim.Optimizer, bounds: Bounds | dict[str, Bounds] = BOUNDS
) -> MutualInformationLR:
    probe = Probe.sample(data(), 200)
    return MutualInformationLR(optimizer, model, probe, bounds, HoldAndDecay(8), measuring=MEASURING)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, number: int = 0) -> None:
    inputs, labels = data()
    order = torch.randperm(600, generator=torch.Generator().manual_seed(number))
    for batch in order.split(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimizer.step()


def epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: MutualInformationLR, number: int = 0
) -> None:
    train(model, optimizer, number)
    scheduler.observe()
    scheduler.step()


def lrs(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("small", [1e-3, 0.0])
def test_the_largest_rate_is_the_one_decided_and_ratios_are_kept(tensors: bool, small: float) -> None:
    model = net()
    kind = torch.tensor if tensors else float
    optimizer = torch.optim.SGD(
        [
            {"params": model[0].parameters(), "lr": kind(small)},
            {"params": model[2].parameters(), "lr": kind(0.1)},
        ]
    )
    scheduler = scheduled(model, optimizer, Bounds(0.05, 0.2, 0.1))
    seen = []
    for number in range(9):
        assert lrs(optimizer)[0] == pytest.approx(small / 0.1 * lrs(optimizer)[1])
        seen.append(lrs(optimizer)[1])
        epoch(model, optimizer, scheduler, number)
    alone = simulate(
        scheduler.policy,
        scheduler.history["output"],
        reference=scheduler.reference,
        bounds=Bounds(0.05, 0.2, 0.1),
    )
    assert seen == pytest.approx([decision.lr for decision in alone[:9]])
    assert max(seen) > min(seen) == pytest.approx(0.05)  # the floor is that of the largest
    assert scheduler.decisions[2][0].lr == pytest.approx(small / 0.1 * scheduler.decisions[2][1].lr)
    first = scheduler.explain().splitlines()[0]
    assert first.startswith(f"epoch 1: lr {small:.4g}, {small / 0.1:.3g} of the layer's: start at")


def test_rates_of_zero_mean_equal_shares() -> None:
    model = net()
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.0)
    assert scheduled(model, optimizer).get_last_lr() == [BOUNDS.lr_top] * 2


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [(LOW, [0.05, 0.1]), ({"0": LOW, "2": Bounds(1e-3, 0.4)}, [0.1, 0.4])],
)
def test_bounds_for_each_layer_hold_the_ratios_between_layers(
    bounds: Bounds | dict[str, Bounds], expected: list[float]
) -> None:
    model = net()
    groups = layer_groups(model)
    for group, lr in zip(groups, (0.1, 0.2), strict=True):
        group["lr"] = lr
    optimizer = torch.optim.SGD(groups, lr=1.0)
    assert scheduled(model, optimizer, bounds).get_last_lr() == pytest.approx(expected)


def test_within_a_layer_of_its_own_bounds_ratios_are_kept() -> None:
    model = net()
    weight, bias = model[2].parameters()
    optimizer = torch.optim.SGD(
        [
            {"params": model[0].parameters(), "layer": "0", "lr": 0.5},
            {"params": [weight], "layer": "2", "lr": 0.02},
            {"params": [bias], "layer": "2", "lr": 0.01},
        ]
    )
    scheduler = scheduled(model, optimizer, {"0": LOW, "2": Bounds(1e-3, 0.4)})
    assert scheduler.get_last_lr() == pytest.approx([0.1, 0.4, 0.2])


def test_ratios_are_those_of_the_first_rates_and_survive_a_resumed_run() -> None:
    def build(
        loaded: dict[str, Any] | None,
    ) -> tuple[nn.Module, torch.optim.Optimizer, MutualInformationLR]:
        model = net()
        groups = [
            {"params": model[0].parameters(), "lr": 0.03},
            {"params": model[2].parameters(), "lr": 0.07},
        ]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        if loaded is not None:
            optimizer.load_state_dict(loaded)
        return model, optimizer, scheduled(model, optimizer)

    whole, states = build(None), list[Any]()
    for number in range(5):
        epoch(*whole, number)
        if number == 2:
            states = [copy.deepcopy(part.state_dict()) for part in whole]
    for early in (
        copy.deepcopy(states[1]),
        None,
    ):  # the optimizer's state before the scheduler is built, or after
        model, optimizer, scheduler = build(early)
        for part, state in zip((model, optimizer, scheduler), copy.deepcopy(states), strict=True):
            part.load_state_dict(state)
        for number in (3, 4):
            epoch(model, optimizer, scheduler, number)
        assert same(scheduler.state_dict(), whole[2].state_dict())
        assert lrs(optimizer) == lrs(whole[1])


def test_a_rate_that_is_not_finite_is_refused() -> None:
    model = net()
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.1)
    optimizer.param_groups[1]["lr"] = math.inf
    with pytest.raises(ValueError, match=r"^learning rates must be finite, got inf in parameter group 1$"):
        scheduled(model, optimizer)


def thawed() -> tuple[nn.Sequential, torch.optim.Optimizer, MutualInformationLR]:
    """A frozen base, whose head has been trained for three epochs; then it is thawed."""
    model = net()
    for weight in model[0].parameters():
        weight.requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.05, momentum=0.9)
    scheduler = scheduled(model, optimizer)
    for number in range(3):
        epoch(model, optimizer, scheduler, number)
    for weight in model[0].parameters():
        weight.requires_grad_(True)
    return model, optimizer, scheduler


@pytest.mark.parametrize(("given", "factor"), [({}, 1.0), ({"lr": 0.005}, 0.1)])
def test_a_group_that_is_added_goes_on_with_its_layer(given: dict[str, float], factor: float) -> None:
    model, optimizer, scheduler = thawed()
    before = scheduler.decisions
    optimizer.add_param_group({"params": model[0].parameters(), **given})
    train(model, optimizer)
    assert lrs(optimizer)[1] == pytest.approx(factor * lrs(optimizer)[0])  # from its first step on
    scheduler.observe()
    scheduler.step()
    assert scheduler.driving_layers == ["output", "output"]
    assert len(scheduler.history["output"]) == 5
    assert [taken[0] for taken in scheduler.decisions[:4]] == [taken[0] for taken in before]
    for number in range(4, 8):
        epoch(model, optimizer, scheduler, number)
        assert lrs(optimizer)[1] == pytest.approx(factor * lrs(optimizer)[0])
        assert scheduler.get_last_lr() == lrs(optimizer)
    assert scheduler.decisions[-1][1].phase == scheduler.decisions[-1][0].phase
    assert scheduler.decisions[-1][1].reason == scheduler.decisions[-1][0].reason
    assert scheduler.explain()


@pytest.mark.parametrize(("given", "factor"), [({}, 1.0), ({"lr": 0.005}, 0.1)])
def test_a_new_scheduler_with_one_more_group_takes_up_the_state(
    given: dict[str, float], factor: float
) -> None:
    model, optimizer, scheduler = thawed()
    optimizer.add_param_group({"params": model[0].parameters(), **given})
    fresh = torch.optim.SGD(
        [{"params": model[0].parameters(), **given}, {"params": model[2].parameters()}], lr=0.05, momentum=0.9
    )
    again = scheduled(model, fresh)
    again.load_state_dict(scheduler.state_dict())
    assert again.history == scheduler.history
    assert lrs(fresh) == pytest.approx([factor * lrs(optimizer)[0], lrs(optimizer)[0]])
    train(model, fresh)
    again.observe()
    again.step()
    assert len(again.decisions) == 5
    assert lrs(fresh)[0] == pytest.approx(factor * lrs(fresh)[1])
    # And back: what it has saved is one more state of two groups.
    third = scheduled(model, torch.optim.SGD(fresh.param_groups))
    third.load_state_dict(again.state_dict())
    assert same(third.state_dict(), again.state_dict())


@pytest.mark.parametrize("in_the_middle", [False, True])
def test_an_epoch_in_which_a_group_was_added_is_rolled_back_whole(in_the_middle: bool) -> None:
    model, optimizer, scheduler = thawed()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if in_the_middle:
        for weight in model[0].parameters():
            weight.requires_grad_(False)
        train(model, optimizer)
        for weight in model[0].parameters():
            weight.requires_grad_(True)
    optimizer.add_param_group({"params": model[0].parameters()})
    train(model, optimizer)
    assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])
    scheduler.roll_back("as a test")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("way", ["added", "loaded"])
def test_a_layer_that_drives_from_now_on_begins_like_a_new_run(way: str) -> None:
    model = net()
    for weight in model[0].parameters():
        weight.requires_grad_(False)
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.05)
    scheduler = scheduled(model, optimizer)
    assert scheduler.driving_layers == ["2"]
    for number in range(3):
        epoch(model, optimizer, scheduler, number)
    for weight in model[0].parameters():
        weight.requires_grad_(True)
    group = {"params": list(model[0].parameters()), "layer": "0"}
    if way == "added":
        optimizer.add_param_group(group)
    else:
        fresh = torch.optim.SGD([{"params": model[2].parameters(), "layer": "2"}, group], lr=0.05)
        other = scheduled(model, fresh)
        other.load_state_dict(scheduler.state_dict())
        optimizer, scheduler = fresh, other
    train(model, optimizer)
    assert lrs(optimizer)[1] == BOUNDS.lr_top
    scheduler.observe()
    scheduler.step()
    later = [taken[1] for taken in scheduler.decisions]
    assert [decision.phase for decision in later] == ["hold"] * 5
    assert all((d.lr, d.reason) == (0.0, "its layer drove no parameter group yet") for d in later[:3])
    assert later[3].reason.startswith("start at lr_top") and later[4].lr == later[3].lr > 0
    epoch(model, optimizer, scheduler, 5)
    # Of the eight epochs three were over, and its history begins with the value of the third.
    expected = simulate(
        HoldAndDecay(5), scheduler.history["0"][3:], reference=scheduler.reference, bounds=BOUNDS
    )
    assert [taken[1] for taken in scheduler.decisions[3:]] == expected
    assert "epoch 4: 0: lr 0.2: start at lr_top" in scheduler.explain()
    resumed = scheduled(model, torch.optim.SGD(optimizer.param_groups))
    resumed.load_state_dict(scheduler.state_dict())
    assert same(resumed.state_dict(), scheduler.state_dict())


def test_groups_that_cannot_be_driven_are_refused_and_nothing_changes() -> None:
    model, optimizer, scheduler = thawed()
    before = scheduler.state_dict()
    other = nn.Linear(2, 2)
    for group, message in (
        (
            {"params": model[0].parameters(), "layer": "elsewhere"},
            "a parameter group cannot be driven: unknown layer",
        ),
        ({"params": other.parameters()}, "the optimizer must hold only the model's parameters, got 2 others"),
        (
            {"params": model[0].parameters(), "lr": math.inf},
            "learning rates must be finite, got inf in parameter group 1",
        ),
    ):
        optimizer.add_param_group(group)
        for call in (scheduler.observe, scheduler.step):
            with pytest.raises(ValueError, match=f"^{message}"):
                call()
        optimizer.param_groups.pop()
        assert same(scheduler.state_dict(), before)
    optimizer.param_groups.clear()
    with pytest.raises(ValueError, match=r"^the optimizer must keep its 1 parameter groups, got 0$"):
        scheduler.step()
