"""MutualInformationLR as a torch scheduler: real per-layer rates, company with others, what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LinearLR, SequentialLR

from infopace import (
    Decision,
    HoldAndDecay,
    MutualInformationLR,
    Policy,
    Probe,
    Vasudevan2020,
    layer_groups,
)
from infopace.policies import Observed, simulate
from infopace.probe import Measuring

from ..small_run import (
    BOUNDS,
    KEPT,
    OTHERS,
    POLICY,
    Run,
    data,
    same,
    trained,
    trained_step,
)


@pytest.mark.parametrize(
    ("layer_wise", "policy"), [(False, None), (True, None), *((True, name) for name in OTHERS)]
)
def test_applies_what_the_policy_decides_from_what_the_probe_measures(
    layer_wise: bool, policy: str | None
) -> None:
    run, applied = trained(layer_wise, policy)
    scheduler = run.scheduler
    assert scheduler.driving_layers == (["0", "3"] if layer_wise else ["output"])
    for group, layer in enumerate(scheduler.driving_layers):
        expected = simulate(
            scheduler.policy, scheduler.history[layer], reference=scheduler.reference, bounds=BOUNDS
        )
        assert [rates[group] for rates in applied] == [decision.lr for decision in expected]
        assert [decisions[group] for decisions in scheduler.decisions] == expected
    # In so few epochs hold-and-decay comes to the same decisions for both layers.
    if layer_wise and not isinstance(scheduler.policy, HoldAndDecay):
        assert any(first != second for first, second in applied), "the layers never went apart"


def test_step_changes_nothing_until_the_next_observation() -> None:
    run = Run(layer_wise=False)
    run.epoch(0)
    before = run.rates()
    run.scheduler.step()
    once = run.rates()
    for _ in range(5):
        run.scheduler.step()
    assert run.rates() == once != before
    assert len(run.scheduler.decisions) == 2


def test_the_layers_that_drive_are_measured_if_nothing_else_is_asked_for() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    groups = layer_groups(model)
    for params, measured in (
        (model.parameters(), ["output"]),
        (groups, ["0", "2", "4", "output"]),
        ([*groups[:2], {"params": groups[2]["params"]}], ["0", "2", "output"]),
    ):
        optimizer = torch.optim.SGD(params, lr=0.1)
        scheduler = MutualInformationLR(optimizer, model, Probe.sample(data(), 200), BOUNDS)
        assert scheduler.measurement is not None
        assert list(scheduler.measurement.layers) == measured
        assert scheduler.measurement.output.estimate.std_error > 0


def test_an_observation_that_fails_changes_nothing() -> None:
    class Late(Policy):
        """It refuses the second epoch, and one that was rolled back."""

        reads_held_out = True

        def decide(self, observed: Observed) -> Decision:
            if observed.epoch == 2 or observed.rolled_back:
                raise ArithmeticError("not today")
            return Decision(observed.bounds.lr_top, "hold", "first")

    model, (inputs, labels) = nn.Linear(8, 4), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(
        optimizer,
        model,
        Probe(inputs[:KEPT], labels[:KEPT]),
        BOUNDS,
        Late(),
        held_out=Probe(inputs[KEPT:], labels[KEPT:]),
    )
    trained_step(model, optimizer)
    before, last = scheduler.state_dict(), scheduler.measurement
    with pytest.raises(ArithmeticError):
        scheduler.observe()
    assert same(scheduler.state_dict(), before)
    with pytest.raises(ArithmeticError):
        scheduler.roll_back("as a test")
    # The weights have gone back, and so has the count of steps. Nothing else has changed.
    untrained = {
        **before,
        "steps": 0,
        "taken": 0,
        "first": None,
        "time": {**before["time"], "steps": 0, "since": 0},
    }
    assert same(scheduler.state_dict(), untrained)
    assert scheduler.measurement is last


def test_warm_up_first() -> None:
    run = Run(layer_wise=False)
    warm_up = LinearLR(run.optimizer, start_factor=0.1, total_iters=2)
    both = SequentialLR(run.optimizer, [warm_up, run.scheduler], milestones=[2])
    seen = [run.rates()[0]]
    for number in range(4):
        run.epoch(number)
        both.step()
        seen.append(run.rates()[0])
    assert seen[:2] == pytest.approx([0.01, 0.055])
    assert seen[2:] == [decisions[0].lr for decisions in run.scheduler.decisions[2:]]


def test_tensor_learning_rates_are_changed_in_place() -> None:
    model = nn.Linear(8, 4)
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    held = optimizer.param_groups[0]["lr"]
    scheduler = MutualInformationLR(
        optimizer, model, Probe.sample(data(), 200), BOUNDS, Vasudevan2020(epochs=3)
    )
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(scheduler.decisions[0][0].lr)


def test_explains_every_move() -> None:
    run, _ = trained(layer_wise=True, policy=None)
    lines = run.scheduler.explain().splitlines()
    moves = sum(
        epoch == 0 or decision.lr != run.scheduler.decisions[epoch - 1][group].lr
        for epoch, decisions in enumerate(run.scheduler.decisions)
        for group, decision in enumerate(decisions)
    )
    assert len(lines) == moves > 2
    assert lines[0] == "epoch 1: 0: lr 0.2: start at lr_top = 0.2"


def test_refuses_an_optimizer_of_another_model() -> None:
    model, other = nn.Linear(8, 4), nn.Linear(8, 4)
    optimizer = torch.optim.SGD([{"params": model.parameters()}, {"params": other.parameters()}], lr=0.1)
    with pytest.raises(ValueError) as error:
        MutualInformationLR(optimizer, model, Probe.sample(data(), 200), BOUNDS, Vasudevan2020(epochs=3))
    assert str(error.value) == (
        "the optimizer must hold only the model's parameters, got 2 others in parameter group 1"
    )


def test_refuses_a_group_whose_layer_is_not_measured() -> None:
    model = nn.Sequential(nn.Linear(8, 4))
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.1)
    probe, measuring = Probe.sample(data(), 200), Measuring(layers="output")
    with pytest.raises(ValueError) as error:
        MutualInformationLR(optimizer, model, probe, BOUNDS, Vasudevan2020(epochs=3), measuring=measuring)
    assert str(error.value) == (
        "a parameter group cannot be driven: unknown layer '0'; The layers are: output"
    )


def test_our_rule_is_the_one_that_need_not_be_named() -> None:
    model = nn.Linear(8, 4)
    optimizer, probe = torch.optim.SGD(model.parameters(), lr=0.1), Probe.sample(data(), 200)
    left_out = MutualInformationLR(optimizer, model, probe, bounds=BOUNDS)
    assert left_out.policy == HoldAndDecay()
    assert MutualInformationLR(optimizer, model, probe, BOUNDS).policy == HoldAndDecay()
    assert left_out.get_last_lr() == pytest.approx([BOUNDS.lr_top])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimizer": []}, "optimizers must be one or more torch Optimizers, got none"),
        (
            {"policy": BOUNDS},
            "policy must be a Policy, with a method decide, got "
            "Bounds(lr_min=0.001, lr_max=0.2, lr_top=0.2, epsilon=0.01)",
        ),
        ({"policy": HoldAndDecay}, "policy must be an object, not its class: HoldAndDecay(...)"),
        (
            {"bounds": (1e-3, 0.1)},
            "bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got tuple; "
            "a range test's are its .bounds",
        ),
        (
            {"bounds": SimpleNamespace(bounds=BOUNDS)},  # a range test's result has them
            "bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got SimpleNamespace; "
            "a range test's are its .bounds",
        ),
        (
            {"bounds": {"output": 0.1}},
            "bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got float; "
            "a range test's are its .bounds",
        ),
        ({"roll_back": "no"}, "roll_back must be True, False or RollBack(...), got 'no'"),
        ({"roll_back": None}, "roll_back must be True, False or RollBack(...), got None"),
    ],
)
def test_refuses_an_argument_of_another_kind(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"optimizer": optimizer, "bounds": BOUNDS, "policy": POLICY, **changed}
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them first
    with pytest.raises(TypeError) as error:
        MutualInformationLR(model=model, probe=Probe(*data()), **given)
    assert str(error.value) == message


def test_refuses_what_is_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Linear(8, 4)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse it first
    with pytest.raises(TypeError) as error:
        MutualInformationLR(torch.optim.SGD(model.parameters(), lr=0.1), model, data(), bounds=BOUNDS)  # pyright: ignore
    assert str(error.value) == "probe must be a Probe, got tuple; Probe.sample draws one"
