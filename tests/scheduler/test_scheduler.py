"""MutualInformationLR as a torch scheduler: real per-layer rates, bit-exact resume, company with others."""

from __future__ import annotations

import functools
import io
import json
from types import SimpleNamespace
from typing import Any

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
    Vasudevan2020,
    layer_groups,
)
from infopace.policies import HeldOut, Observed, simulate

from ..policies.every import EVERY
from ..small_run import BOUNDS, EPOCHS, KEPT, OURS, POLICY, Run, data, same

others = [name for name, policy in EVERY.items() if type(policy) is not type(POLICY)]


def trained_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs, labels = data()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()


@functools.cache
def trained(layer_wise: bool, policy: str | None) -> tuple[Run, list[list[float]]]:
    """A run after all epochs, for tests that only read it, and the rates at first and after each epoch."""
    run = Run(layer_wise, policy)
    applied = [run.rates()]
    for number in range(EPOCHS):
        run.epoch(number)
        run.scheduler.step()
        applied.append(run.rates())
        assert run.scheduler.get_last_lr() == applied[-1]
    return run, applied


@pytest.mark.parametrize(
    ("layer_wise", "policy"), [(False, None), (True, None), *((True, name) for name in others)]
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


@pytest.mark.parametrize(
    ("layer_wise", "stop", "policy"),
    [
        *((layer_wise, stop, None) for layer_wise in (False, True) for stop in (0, 1, 4)),
        *((True, 3, name) for name in others),
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
        rest = {name: value for name, value in state.items() if name != "held_out_examples"}
        assert json.loads(json.dumps(rest)) == rest


@pytest.mark.parametrize("layer_wise", [False, True])
def test_held_out_examples_are_measured_until_every_group_leaves_its_hold(layer_wise: bool) -> None:
    run = Run(layer_wise, OURS, held_out=True)
    scheduler = run.scheduler
    inputs, labels = data()
    for number in range(9):
        if scheduler.holds_out:
            now = Probe(inputs[KEPT:], labels[KEPT:], layers="all", std_error=False).measure(run.model)
            assert {layer: values[-1] for layer, values in scheduler.held_out_history.items()} == {
                layer: now[layer].estimate.nats for layer in dict.fromkeys(scheduler.driving_layers)
            }
        run.epoch(number)
        scheduler.step()
    # Of each group the first decision past the hold; the examples join after the last of these.
    first = max(
        next(i for i, one in enumerate(taken) if one.phase != "hold")
        for taken in zip(*scheduler.decisions, strict=True)
    )
    assert run.trained_on == [KEPT] * first + [600] * (9 - first)
    assert {len(values) for values in scheduler.held_out_history.values()} == {first + 1}
    for group, layer in enumerate(scheduler.driving_layers):
        expected = simulate(
            scheduler.policy,
            scheduler.history[layer],
            reference=scheduler.reference,
            bounds=BOUNDS,
            held_out=scheduler.held_out_examples[layer],
        )
        assert [taken[group] for taken in scheduler.decisions] == expected
        assert scheduler.held_out_examples[layer].pointwise.size == 0  # no decision reads them any more


class Forgetful(HeldOut):
    """It keeps everything, as if nothing were known of what is read."""

    def trimmed(self, *, wholly: bool = False) -> HeldOut:
        return self

    def grown(self, pointwise: Any) -> HeldOut:
        return Forgetful([*self.pointwise, pointwise])


def test_what_is_kept_of_held_out_examples_leads_to_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[list[Decision]]:
        one = Run(True, OURS, held_out=True)
        for number in range(9):
            one.epoch(number)
            one.scheduler.step()
        return one.scheduler.decisions

    kept = run()
    monkeypatch.setattr("infopace.scheduler._ledger.HeldOut", Forgetful)
    assert run() == kept


def test_the_state_grows_by_less_than_a_kilobyte_an_epoch_beyond_what_is_still_read() -> None:
    class Fitting(HoldAndDecay):
        """It reads the last four values, whatever they are."""

        def decide(self, observed: Observed) -> Decision:
            assert observed.held_out is not None
            for last in range(3, observed.epoch):
                observed.held_out.rise(last - 3, last)
            return Decision(
                observed.bounds.lr_top, "hold", "held: information still rises, or it is too early to say"
            )

    model, (inputs, labels) = nn.Linear(8, 4), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probes = (
        Probe(inputs[:300], labels[:300], std_error=False),
        Probe(inputs[300:], labels[300:], std_error=False),
    )
    scheduler = MutualInformationLR(optimizer, model, probes[0], BOUNDS, Fitting(), held_out=probes[1])

    def size() -> int:
        file = io.BytesIO()
        torch.save(scheduler.state_dict(), file)
        return len(file.getvalue())

    sizes = []
    for _ in range(20):
        trained_step(model, optimizer)
        scheduler.observe()
        scheduler.step()
        sizes.append(size())
    assert scheduler.held_out_examples["output"].pointwise.shape == (4, 300)
    assert (sizes[-1] - sizes[4]) / 15 < 1000 < 300 * 8


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_resumed_run_holds_out_as_long_as_one_that_was_not_killed(stop: int) -> None:
    whole, first, second = (Run(False, OURS, held_out=True) for _ in range(3))
    for number in range(8):
        whole.epoch(number)
        whole.scheduler.step()
        run = first if number < stop else second
        if number == stop:
            for name in ("model", "optimizer", "scheduler"):
                getattr(second, name).load_state_dict(getattr(first, name).state_dict())
        run.epoch(number)
        run.scheduler.step()
    assert same(second.scheduler.state_dict(), whole.scheduler.state_dict())
    assert first.trained_on + second.trained_on == whole.trained_on


def test_held_out_examples_are_for_a_policy_that_reads_them_and_for_the_layers_that_drive() -> None:
    with pytest.raises(TypeError, match=r"held_out needs a policy that reads it, got Vasudevan2020\("):
        Run(False, held_out=True)
    model = nn.Sequential(nn.Linear(8, 4))
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.1)
    inputs, labels = data()
    two = Probe(inputs[labels < 2], labels[labels < 2], layers="all")
    with pytest.raises(
        ValueError, match=r"held_out must have the classes of the probe, \[0, 1, 2, 3\], got \[0, 1\]"
    ):
        MutualInformationLR(optimizer, model, Probe.sample(data(), 200), BOUNDS, None, held_out=two)
    numbers = Probe(inputs, torch.rand(len(inputs), 1), reference=1.0)
    assert numbers.classes is None
    with pytest.raises(ValueError, match=r"the classes of the probe, None, got \[0, 1\]"):
        MutualInformationLR(optimizer, model, numbers, BOUNDS, None, held_out=two)
    everywhere, at_the_output = Probe.sample(data(), 200, layers="all"), Probe.sample(data(), 100)
    with pytest.raises(ValueError, match="held_out must measure what drives: unknown layer '0'"):
        MutualInformationLR(optimizer, model, everywhere, BOUNDS, None, held_out=at_the_output)
    with_some, without = Run(False, OURS, held_out=True).scheduler, Run(False, OURS).scheduler
    before = without.state_dict()
    with pytest.raises(ValueError, match="scheduler state must be of 0 held-out examples, got one of 80"):
        without.load_state_dict(with_some.state_dict())
    assert without.state_dict() == before
    state = with_some.state_dict()
    whole = state["held_out_examples"]["output"]
    for examples, message in (
        ({}, r"the held-out examples of all measurements, \{'output': 1\}, got \{\}"),
        (
            {"output": {**whole, "nats": torch.zeros(2)}},
            r"all measurements, \{'output': 1\}, got \{'output': 2\}",
        ),
        ({"output": {**whole, "nats": [0.1]}}, r"held-out examples as tensors, got others in \['nats'\]"),
        ({"output": {**whole, "pointwise": torch.zeros(1)}}, r"for two examples or more, got shape \(1,\)"),
        (
            {"output": {**whole, "rises": torch.zeros(1, 3)}},
            r"rises \(k, 4\), got shapes \(1,\), \(1, 80\) and",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            with_some.load_state_dict({**state, "held_out_examples": examples})
    assert same(with_some.state_dict(), state)


def test_a_foreign_state_is_refused_and_nothing_changes() -> None:
    run, other = Run(layer_wise=True), Run(layer_wise=False)
    run.epoch(0)
    before = run.scheduler.state_dict()
    for change, message in (
        ({"version": 2}, "scheduler state must have version 3, got 2"),
        (
            {"decisions": {"output": before["decisions"]["0"]}},
            "scheduler state must be driven by this model's layers ['0', '3'], got ['output']",
        ),
        (
            {"history": {"output": before["history"]["0"]}},
            "scheduler state must be of this model's layers ['0', '3', 'output'], got ['output']",
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
            assert torch.load(file, weights_only=True) == part.state_dict()


def test_an_observation_that_fails_changes_nothing() -> None:
    class Late(Policy):
        """It refuses the second epoch."""

        reads_held_out = True

        def decide(self, observed: Observed) -> Decision:
            if observed.epoch == 2:
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
    for call in (scheduler.observe, lambda: scheduler.roll_back("as a test")):
        with pytest.raises(ArithmeticError):
            call()
        assert same(scheduler.state_dict(), before)
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
    with pytest.raises(ValueError) as error:
        MutualInformationLR(optimizer, model, Probe.sample(data(), 200), BOUNDS, Vasudevan2020(epochs=3))
    assert str(error.value) == (
        "parameter group 0 cannot be driven: unknown layer '0'; The layers are: output"
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
        ({"optimizer": []}, "optimizer must be a torch Optimizer, got list"),
        (
            {"bounds": None},
            "bounds must be given, Bounds(lr_min, lr_max) or those of a range_test, got None",
        ),
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
