"""Held-out examples: how long they are measured, what is kept of them, and who may have them."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import nn

from infopace import (
    Decision,
    HoldAndDecay,
    MutualInformationLR,
    Probe,
    layer_groups,
)
from infopace.policies import HeldOut, Observed, simulate

from ..small_run import (
    BOUNDS,
    KEPT,
    MEASURING,
    OURS,
    Run,
    data,
    same,
    trained_step,
)


@pytest.mark.parametrize("layer_wise", [False, True])
def test_held_out_examples_are_measured_until_every_group_leaves_its_hold(layer_wise: bool) -> None:
    run = Run(layer_wise, OURS, held_out=True)
    scheduler = run.scheduler
    inputs, labels = data()
    for number in range(9):
        if scheduler.holds_out:
            now = Probe(inputs[KEPT:], labels[KEPT:]).measure(run.model, MEASURING)
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
        Probe(inputs[:300], labels[:300]),
        Probe(inputs[300:], labels[300:]),
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


@pytest.mark.parametrize(
    "stop", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(6, marks=pytest.mark.slow)]
)
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
    two = Probe(inputs[labels < 2], labels[labels < 2])
    with pytest.raises(
        ValueError, match=r"held_out must have the classes of the probe, \[0, 1, 2, 3\], got \[0, 1\]"
    ):
        MutualInformationLR(optimizer, model, Probe.sample(data(), 200), BOUNDS, None, held_out=two)
    numbers = Probe(inputs, torch.rand(len(inputs), 1))
    assert numbers.classes is None
    with pytest.raises(ValueError, match=r"the classes of the probe, None, got \[0, 1\]"):
        MutualInformationLR(optimizer, model, numbers, BOUNDS, None, held_out=two)
    with_some, without = Run(False, OURS, held_out=True).scheduler, Run(False, OURS).scheduler
    before = without.state_dict()
    with pytest.raises(ValueError, match="scheduler state must be of 0 held-out examples, got one of 80"):
        without.load_state_dict(with_some.state_dict())
    assert same(without.state_dict(), before)
    state = with_some.state_dict()
    whole = state["held_out_examples"]["output"]
    for examples, message in (
        ({}, r"the held-out examples of all measurements, \{'output': 1\}, got \{\}"),
        (
            {
                "output": {
                    **whole,
                    "nats": torch.zeros(2),
                    "errors": torch.zeros(2),
                    "bests": torch.zeros(2),
                    "falls": torch.zeros(2, 2),
                }
            },
            r"all measurements, \{'output': 1\}, got \{'output': 2\}",
        ),
        ({"output": {**whole, "nats": [0.1]}}, r"held-out examples as tensors, got others in \['nats'\]"),
        ({"output": {**whole, "pointwise": torch.zeros(1)}}, r"for two examples or more, got shape \(1,\)"),
        (
            {"output": {**whole, "rises": torch.zeros(1, 3)}},
            r"'rises': \(1, 4\)}, got .* 'rises': \(1, 3\)}",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            with_some.load_state_dict({**state, "held_out_examples": examples})
    assert same(with_some.state_dict(), state)


def test_held_out_examples_that_the_probe_has_too_are_warned_of() -> None:
    model, (inputs, labels) = nn.Linear(8, 4), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(inputs[:300], labels[:300])
    with pytest.warns(UserWarning, match="held_out has 200 of its 300 examples in common with the probe"):
        MutualInformationLR(optimizer, model, probe, BOUNDS, held_out=Probe(inputs[100:400], labels[100:400]))
    assert probe.in_common(Probe(inputs[300:], labels[300:])) == 0
