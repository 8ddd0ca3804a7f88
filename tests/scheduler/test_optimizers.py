"""Warm-up of Adam-like optimizers, and several optimizers under one scheduler."""

from __future__ import annotations

import copy
import math

import jaxtyping
import pytest
import torch
from torch import nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.scheduler import Optimizers

from ..small_run import data, same

BOUNDS = Bounds(1e-4, 0.02)


def model_of(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def probe_of() -> Probe:
    inputs, labels = data()
    return Probe(inputs[:200], labels[:200])


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    inputs, labels = data()
    for optimizer in optimizers:
        optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    for optimizer in optimizers:
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "options", "planned", "steps"),
    [
        (torch.optim.AdamW, {}, None, 40),
        (torch.optim.AdamW, {}, 400, 20),
        (torch.optim.AdamW, {}, 100_000, 2000),
        (torch.optim.Adam, {"betas": (0.9, 0.9)}, None, 20),
        (torch.optim.NAdam, {}, 200, 10),
        (torch.optim.Adamax, {}, None, 40),
        (torch.optim.RAdam, {}, None, 0),
        (torch.optim.SGD, {}, 400, 0),
        (torch.optim.RMSprop, {}, None, 0),
    ],
)
def test_adam_like_optimizers_warm_up(
    kind: type[torch.optim.Optimizer],
    options: dict[str, tuple[float, float]],
    planned: int | None,
    steps: int,
) -> None:
    model = model_of()
    optimizer = kind(model.parameters(), lr=0.01, **options)  # pyright: ignore[reportCallIssue]
    every = None if planned is None else planned - 1
    scheduler = MutualInformationLR(
        optimizer, model, probe_of(), BOUNDS, HoldAndDecay(steps=planned), every=every
    )
    assert scheduler._warmup == steps
    used = []
    handle = optimizer.register_step_pre_hook(lambda *_: used.append(optimizer.param_groups[0]["lr"]))
    for _ in range(min(steps, 50) + 2):
        step(model, optimizer)
    handle.remove()
    expected = [BOUNDS.lr_top * min((k + 1) / max(steps, 1), 1.0) for k in range(len(used))]
    assert used == pytest.approx(expected)


def test_a_warm_up_of_ones_own_and_none() -> None:
    for wanted in (0, 3):
        model = model_of()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        MutualInformationLR(optimizer, model, probe_of(), BOUNDS, warmup=wanted)
        rates = []
        for _ in range(5):
            step(model, optimizer)
            rates.append(optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([BOUNDS.lr_top * min((k + 1) / max(wanted, 1), 1) for k in range(5)])


@pytest.mark.parametrize("wrong", ["long", -1, 1.5])
def test_a_warm_up_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: object) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    model = model_of()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with pytest.raises(ValueError, match=r"^warmup must be .* got"):
        MutualInformationLR(optimizer, model, probe_of(), BOUNDS, warmup=wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wanted", [0, 500])
def test_a_search_has_no_warm_up_of_ones_own(wanted: int) -> None:
    model = model_of()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with pytest.raises(ValueError, match=f"^bounds must be given .* got None and warmup={wanted}; "):
        MutualInformationLR(optimizer, model, probe_of(), warmup=wanted)


def test_a_warm_up_is_resumed_in_its_middle_and_explained() -> None:
    def begin() -> tuple[nn.Module, torch.optim.Optimizer, MutualInformationLR]:
        model = model_of()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        return model, optimizer, MutualInformationLR(optimizer, model, probe_of(), BOUNDS)

    whole, first, second = begin(), begin(), begin()

    def epochs(run: tuple[nn.Module, torch.optim.Optimizer, MutualInformationLR], n: int) -> None:
        for _ in range(n):
            for _ in range(15):
                step(run[0], run[1])
            run[2].observe()
            run[2].step()

    epochs(whole, 5)
    epochs(first, 2)
    for new, old in zip(second, first, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    epochs(second, 3)
    assert same(second[0].state_dict(), whole[0].state_dict())
    assert same(second[2].state_dict(), whole[2].state_dict())
    assert "set by other code" not in whole[2].explain()
    assert whole[2].explain().startswith("epoch 1: lr 0.0005 to 0.0075 with a warm-up: start at lr_top")


def test_another_scheduler_may_warm_up_instead() -> None:
    model = model_of()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    ours = MutualInformationLR(optimizer, model, probe_of(), BOUNDS)
    for group in optimizer.param_groups:
        group["lr"] = 1e-5
    step(model, optimizer)
    assert optimizer.param_groups[0]["lr"] == 1e-5
    ours.observe()
    ours.step()
    assert optimizer.param_groups[0]["lr"] > 1e-5


def muon_and_adamw(model: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    return torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(others, lr=0.002)


@pytest.mark.parametrize("every", [None, 10])
def test_several_optimizers_keep_their_ratio(every: int | None) -> None:
    model = model_of()
    muon, adamw = muon_and_adamw(model)
    scheduler = MutualInformationLR([muon, adamw], model, probe_of(), BOUNDS, every=every)
    for _ in range(120):
        step(model, muon, adamw)
        lrs = muon.param_groups[0]["lr"], adamw.param_groups[0]["lr"]
        assert lrs[0] == pytest.approx(10 * lrs[1])
    if every is None:
        scheduler.observe()
    history = scheduler.history["output"]
    assert len(history) == (2 if every is None else 4)
    assert history[-1] > history[0] + 0.5


@pytest.mark.filterwarnings("ignore:optimizers must be listed in the order")
@pytest.mark.parametrize("reverse", [False, True])
def test_several_optimizers_are_rolled_back_together(reverse: bool) -> None:
    model = model_of()
    parts = muon_and_adamw(model)
    scheduler = MutualInformationLR(list(parts), model, probe_of(), BOUNDS, every=5)
    for _ in range(40):
        step(model, *parts)
    weights = copy.deepcopy(model.state_dict())
    states = [copy.deepcopy(part.state_dict()["state"]) for part in parts]
    order = parts[::-1] if reverse else parts
    for number in range(5):
        inputs, labels = data()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        if number == 3:
            with torch.no_grad():
                next(model.parameters()).fill_(math.inf)
        for part in order:
            part.step()
    assert scheduler.rolled_back == [2]
    assert same(model.state_dict(), weights)
    assert [same(part.state_dict()["state"], state) for part, state in zip(parts, states, strict=True)] == [
        True
    ] * 2


def test_several_optimizers_as_one() -> None:
    model, twin = model_of(), model_of()
    parts, others = muon_and_adamw(model), muon_and_adamw(twin)
    one = Optimizers(parts)
    for _ in range(3):
        step(model, one)
        step(twin, *others)
    assert same(model.state_dict(), twin.state_dict())
    again = Optimizers(muon_and_adamw(model_of()))
    again.load_state_dict(one.state_dict())
    assert same(again.state_dict(), one.state_dict())
    assert [group["lr"] for group in copy.deepcopy(one).param_groups] == [0.02, 0.002]
    with pytest.raises(ValueError, match="optimizer state must be of 2 optimizers, got 1"):
        one.load_state_dict({"parts": [parts[0].state_dict()]})
    with pytest.raises(TypeError, match="a parameter group must be added to one of the 2 optimizers"):
        one.add_param_group({"params": []})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "optimizers must be one or more torch Optimizers, got none"),
        ([3], "optimizers must be one or more torch Optimizers, got int among them"),
        (3, "optimizer must be a torch Optimizer, or several in a list, got int"),
    ],
)
def test_what_is_no_optimizer(monkeypatch: pytest.MonkeyPatch, wrong: object, message: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    with pytest.raises(TypeError) as error:
        MutualInformationLR(wrong, model_of(), probe_of(), BOUNDS)  # pyright: ignore[reportArgumentType]
    assert str(error.value) == message


def test_a_group_added_to_one_of_several_is_taken_up() -> None:
    model = model_of()
    first, second = model[0], model[2]  # pyright: ignore[reportIndexIssue]
    parts = torch.optim.SGD(first.parameters(), lr=0.1), torch.optim.SGD([second.weight], lr=0.05)
    scheduler = MutualInformationLR(list(parts), model, probe_of(), BOUNDS)
    parts[1].add_param_group({"params": [second.bias], "lr": 0.01})
    step(model, *parts)
    scheduler.observe()
    scheduler.step()
    rates = [group["lr"] for part in parts for group in part.param_groups]
    assert rates == pytest.approx([rates[0], rates[0] / 2, rates[0] / 10])
