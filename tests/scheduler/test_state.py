"""The state: bit-exact resume, what it is made of, and what is refused."""

from __future__ import annotations

import io
import json

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR, SequentialLR

from infopace import (
    Bounds,
    Decision,
    HoldAndDecay,
    MutualInformationLR,
    Policy,
    Probe,
)
from infopace.policies import Observed

from ..small_run import (
    BOUNDS,
    EPOCHS,
    MEASURING,
    OTHERS,
    OURS,
    Run,
    data,
    same,
    trained,
    trained_step,
)


@pytest.mark.parametrize(
    ("layer_wise", "stop", "policy"),
    [
        *((layer_wise, stop, None) for layer_wise in (False, True) for stop in (0, 1, 4)),
        *((True, 3, name) for name in OTHERS),
    ],
)
def test_resume_is_bit_exact(layer_wise: bool, stop: int, policy: str | None) -> None:
    whole, _ = trained(layer_wise, policy)
    first = Run(layer_wise, policy)
    for number in range(stop):
        first.epoch(number)
        first.scheduler.step()
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (first.model, first.optimizer, first.scheduler)], file)
    file.seek(0)
    second = Run(layer_wise, policy)
    states = torch.load(file, weights_only=True)
    for part, state in zip((second.model, second.optimizer, second.scheduler), states, strict=True):
        part.load_state_dict(state)
    assert second.rates() == first.rates() == second.scheduler.get_last_lr()
    for number in range(stop, EPOCHS):
        second.epoch(number)
        second.scheduler.step()
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(second.model.parameters(), whole.model.parameters(), strict=True)
    )


def test_the_state_is_numbers_strings_and_tensors() -> None:
    for held_out in (False, True):
        state = Run(layer_wise=True, policy=OURS, held_out=held_out).scheduler.state_dict()
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        assert same(torch.load(file, weights_only=True), state)
        tensors = ("held_out_examples", "best")
        rest = {name: value for name, value in state.items() if name not in tensors}
        assert json.loads(json.dumps(rest)) == rest


def test_a_foreign_state_is_refused_and_nothing_changes() -> None:
    run, other = Run(layer_wise=True), Run(layer_wise=False)
    run.epoch(0)
    before = run.scheduler.state_dict()
    for change, message in (
        ({"version": 2}, "scheduler state must have version 12, got 2"),
        (
            {"decisions": {"output": before["decisions"]["0"]}},
            "scheduler state must be driven by this model's layers ['0', '3'], got ['output']",
        ),
        (
            {"history": {"output": before["history"]["0"]}},
            "scheduler state must be of this model's layers ['0', '3', 'output'], got ['output']",
        ),
        (
            {"examples": ["others"]},
            "scheduler state must be of the same examples, got others in the probe; draw them from the same data with "
            "the same seed",
        ),
        (
            {"examples": [*before["examples"], "more"]},
            "scheduler state must be of the same examples, got others in the held-out probe; draw them from the same "
            "data with the same seed",
        ),
        (
            {"reference": 0.5},
            f"scheduler state must be of this probe, with reference {run.scheduler.reference}, got 0.5",
        ),
        (
            {"decisions": {}},
            "scheduler state must fit together, 0 epochs, got 2 in the history of 0",
        ),
        (
            {"history": {**before["history"], "3": []}},
            "scheduler state must fit together, 2 epochs, got 0 in the history of 3",
        ),
        (
            {"decisions": {**before["decisions"], "3": before["decisions"]["3"][:1]}},
            "scheduler state must fit together, 2 epochs, got 1 in decisions of 3",
        ),
        (
            {"used": []},
            "scheduler state must fit together, 2 epochs, got 0 in the rates used",
        ),
        (
            {"last_lr": {**before["last_lr"], "0": [0.1, 0.1]}},
            "scheduler state must fit together, got {'factors': 1, 'last_lr': 2, 'group_lrs': 1} groups of layer 0",
        ),
    ):
        with pytest.raises(ValueError) as error:
            run.scheduler.load_state_dict({**other.scheduler.state_dict(), **before, **change})
        assert str(error.value) == message
        assert run.scheduler.state_dict() == before
    torn = {name: value for name, value in before.items() if name not in ("decisions", "last_lr")}
    with pytest.raises(ValueError, match=r"scheduler state must hold decisions, last_lr, got \["):
        run.scheduler.load_state_dict(torn)
    assert run.scheduler.state_dict() == before


@pytest.mark.parametrize("tensor_rate", [False, True])
def test_the_optimizer_s_state_may_be_loaded_before_the_scheduler_is_built(tensor_rate: bool) -> None:
    def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1) if tensor_rate else 0.1)

    def scheduler_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> MutualInformationLR:
        bounds = Bounds(1e-3, 0.2, 0.05)
        return MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=bounds)

    model = nn.Linear(8, 4)
    optimizer = optimizer_of(model)
    scheduler = scheduler_of(model, optimizer)
    trained_step(model, optimizer)
    scheduler.observe()
    scheduler.step()
    applied = float(optimizer.param_groups[0]["lr"])
    assert applied != pytest.approx(0.05)
    again = optimizer_of(model)
    again.load_state_dict(optimizer.state_dict())
    resumed = scheduler_of(model, again)
    assert float(again.param_groups[0]["lr"]) == pytest.approx(0.05)
    resumed.load_state_dict(scheduler.state_dict())
    assert float(again.param_groups[0]["lr"]) == applied == pytest.approx(resumed.get_last_lr()[0])
    assert isinstance(again.param_groups[0]["lr"], Tensor) == tensor_rate


def test_a_resumed_warm_up_keeps_its_rate() -> None:
    def build() -> tuple[Run, SequentialLR]:
        run = Run(layer_wise=False)
        warm_up = LinearLR(run.optimizer, start_factor=0.1, total_iters=3)
        return run, SequentialLR(run.optimizer, [warm_up, run.scheduler], milestones=[3])

    run, both = build()
    run.epoch(0)
    both.step()
    state = run.optimizer.state_dict()
    again, resumed = build()
    again.optimizer.load_state_dict(state)
    resumed.load_state_dict(both.state_dict())
    assert again.rates() == run.rates() == pytest.approx([0.1 * 0.4])


def test_numpy_s_numbers_leave_a_state_that_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Fixed(Policy):
        def decide(self, observed: Observed) -> Decision:
            return Decision(np.float64(observed.bounds.lr_max), "hold", "always")

    low, high = np.geomspace(1e-3, 1e-1, 2)
    for policy in (Fixed(), HoldAndDecay(np.int64(3))):  # pyright: ignore[reportArgumentType]
        scheduler = MutualInformationLR(
            optimizer, model, Probe.sample(data(), 200), Bounds(low, high), policy
        )
        trained_step(model, optimizer)
        scheduler.observe()
        for part in (scheduler, optimizer):
            file = io.BytesIO()
            torch.save(part.state_dict(), file)
            file.seek(0)
            assert same(torch.load(file, weights_only=True), part.state_dict())


def test_a_finished_run_goes_on_with_a_longer_plan() -> None:
    def run(epochs: int) -> Run:
        made = Run(False, OURS)
        probe = Probe.sample(data(), 200)
        policy = HoldAndDecay(epochs)
        made.scheduler = MutualInformationLR(
            made.optimizer, made.model, probe, BOUNDS, policy, measuring=MEASURING
        )
        return made

    short, longer, again = run(4), run(12), run(4)
    for number in range(4):
        short.epoch(number)
        short.scheduler.step()
    assert short.scheduler.finished
    state = short.scheduler.state_dict()
    longer.scheduler.load_state_dict(state)
    assert not longer.scheduler.finished and longer.scheduler.decisions[-1][0].phase == "hold"
    again.scheduler.load_state_dict(state)
    assert again.scheduler.finished and same(again.scheduler.state_dict(), state)


def test_a_state_of_another_network_or_another_scheduler_is_refused() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    other = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    schedulers = [
        MutualInformationLR(
            torch.optim.SGD(one.parameters(), lr=0.1), one, Probe.sample(data(), 200), policy=HoldAndDecay(6)
        )
        for one in (model, other)
    ]
    inputs, labels = data()
    optimizer = schedulers[0].optimizer
    nn.functional.cross_entropy(model(inputs[:30]), labels[:30]).backward()
    optimizer.step()  # a trial runs, and the network before it is kept
    before = schedulers[1].state_dict()
    with pytest.raises(ValueError, match=r"must be of this model, with 0.weight of shape \(32, 8\), got"):
        schedulers[1].load_state_dict(schedulers[0].state_dict())
    assert same(schedulers[1].state_dict(), before)
    foreign = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(model.parameters()), 3).state_dict()
    with pytest.raises(
        ValueError, match="scheduler state must be one of MutualInformationLR, got one of another kind"
    ):
        schedulers[1].load_state_dict(foreign)
