"""Calls that set no rate are warned of once, and so is a rate that others set; proper use warns of nothing."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, LinearLR, SequentialLR

from infopace import HoldAndDecay, MutualInformationLR, Probe, find_bounds
from infopace._checks import warn
from infopace.range_test import Race

from ..small_run import BOUNDS, MEASURING, OURS, Run, data, same
from .searching import Loop


class Warned:
    """The warnings inside."""

    def __enter__(self) -> list[str]:
        self._catch = warnings.catch_warnings(record=True)
        self._found = self._catch.__enter__()
        warnings.simplefilter("always")
        self.messages: list[str] = []
        return self.messages

    def __exit__(self, *error: Any) -> None:
        self._catch.__exit__(*error)
        self.messages += [str(one.message) for one in self._found]


@pytest.mark.parametrize("roll_back", [False, True])
def test_an_observation_without_a_step_counts_as_no_epoch_and_is_named_once(roll_back: bool) -> None:
    once, twice = Run(False, OURS), Run(False, OURS)
    for run in (once, twice):
        if not roll_back:
            probe = Probe.sample(data(), 200)
            run.scheduler = MutualInformationLR(
                run.optimizer, run.model, probe, bounds=BOUNDS, roll_back=False, measuring=MEASURING
            )
    with Warned() as messages:
        for number in range(4):
            once.epoch(number)
            twice.epoch(number)
            assert twice.scheduler.observe() is twice.scheduler.measurement
            for run in (once, twice):
                run.scheduler.step()
    assert same(twice.scheduler.state_dict(), once.scheduler.state_dict())
    assert messages == [
        "observe() was called without an optimizer step since the last call, which counts as no epoch; "
        "call it once, at the end of an epoch"
    ]


def test_just_after_a_state_was_loaded_a_measurement_is_asked_for_without_an_epoch() -> None:
    run, again = Run(False, OURS), Run(False, OURS)
    run.epoch(0)
    for part in ("model", "optimizer", "scheduler"):
        getattr(again, part).load_state_dict(getattr(run, part).state_dict())
    assert again.scheduler.measurement is None
    assert again.scheduler.observe().output.estimate.nats == run.scheduler.history["output"][-1]
    assert same(again.scheduler.state_dict(), run.scheduler.state_dict())


def test_steps_that_no_hook_sees_count() -> None:
    """As of a CUDA graph, or of an optimizer that calls none."""
    run = Run(False, OURS)
    run.optimizer._optimizer_step_pre_hooks.clear()
    for number in range(3):
        run.epoch(number)
        run.scheduler.step()
    assert len(run.scheduler.history["output"]) == 4
    assert run.scheduler.explain() == "epoch 1: lr 0.2: start at lr_top = 0.2"


def test_steps_that_are_skipped_are_no_epoch() -> None:
    run = Run(False, OURS)
    inputs, labels = data()
    scaler = torch.amp.GradScaler("cpu")

    def step(factor: float) -> None:
        run.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run.model(inputs), labels) * factor
        scaler.scale(loss).backward()
        scaler.step(run.optimizer)
        scaler.update()

    step(float("inf"))
    with pytest.warns(UserWarning, match=r"^observe\(\) was called without an optimizer step"):
        run.scheduler.observe()
    assert len(run.scheduler.decisions) == 1
    step(1.0)
    run.scheduler.observe()
    assert len(run.scheduler.decisions) == 2


def test_steps_of_a_range_test_are_no_epoch() -> None:
    run = Run(False, OURS)
    inputs, labels = data()
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))
    probe = Probe.sample(data(), 200)
    find_bounds(
        run.model, run.optimizer, nn.functional.cross_entropy, batches, probe, epochs=1, method=Race(trials=1)
    )
    assert not run.scheduler._steps.any
    run.epoch(0)
    assert len(run.scheduler.history["output"]) == 2


def test_steps_without_any_observation_are_named_once() -> None:
    run = Run(False, OURS)
    with Warned() as messages:
        for _ in range(6):
            run.spare_step()
            run.spare_step()
            run.scheduler.step()
    assert messages == [
        "step() was called 3 times after optimizer steps, and observe() never: "
        "the learning rate stays as it is; call observe() before step()"
    ]


def test_observations_that_no_step_follows_are_named_once() -> None:
    run = Run(False, OURS)
    with Warned() as found:
        for number in range(6):
            run.epoch(number)
    assert [one for one in found if "step() never" in one] == [
        "observe() was called 4 times and step() never: the learning rate stays as it is, unless another scheduler "
        "drives for now; call step() after observe()"
    ]
    run = Run(False, OURS)
    with Warned() as found:
        for number in range(6):
            run.epoch(number)
            run.scheduler.step()
    assert found == []


def test_a_step_after_every_batch_or_before_observe_is_no_misuse() -> None:
    run = Run(False, OURS)
    with Warned() as messages:
        for _ in range(8):
            run.spare_step()
            run.scheduler.step()
        run.scheduler.observe()
        for _ in range(4):
            run.spare_step()
            run.spare_step()
            run.scheduler.step()
            run.scheduler.observe()
    assert messages == []


@pytest.mark.parametrize("when", ["before the epoch", "in the epoch"])
def test_a_rate_that_other_code_sets_is_named_once_and_explained(when: str) -> None:
    run = Run(False, OURS)
    run.epoch(0)
    run.scheduler.step()
    with Warned() as messages:
        for number in range(1, 3):
            if when == "in the epoch":
                run.spare_step()
            run.optimizer.param_groups[0]["lr"] = 0.01
            run.epoch(number)
            run.scheduler.step()
    assert messages == [
        "other code, another scheduler perhaps, has changed the learning rate: 0.01 found in parameter group 0, "
        "0.2 set; leave the rate to one of them, or join both by SequentialLR"
    ]
    used = "0.01" if when == "before the epoch" else "0.2 to 0.01"
    lines = run.scheduler.explain().splitlines()
    assert lines[0] == "epoch 1: lr 0.2: start at lr_top = 0.2"
    assert lines[1].startswith(f"epoch 2: lr {used}, set by other code; decided: 0.2, held")
    assert lines[2].startswith("epoch 4: lr 0.2: ")  # of epoch 3 the rate is that of 2; 4 has not begun


@pytest.mark.parametrize("ours_first", [False, True])
def test_company_is_no_misuse_and_is_explained(ours_first: bool) -> None:
    run = Run(False, OURS)
    if ours_first:
        parts = [run.scheduler, ConstantLR(run.optimizer, factor=0.5, total_iters=9)]
    else:
        parts = [LinearLR(run.optimizer, start_factor=0.1, total_iters=3), run.scheduler]
    both = SequentialLR(run.optimizer, parts, milestones=[2])
    used = []
    for number in range(4):
        used.append(run.rates()[0])
        run.epoch(number)
        both.step()
    lines = run.scheduler.explain().splitlines()
    others = [line for line in lines if "set by other code" in line]
    assert len(others) == (1 if ours_first else 2)
    for line in others:
        epoch = int(line.split()[1].rstrip(":"))
        assert f"lr {used[epoch - 1]:.4g}, set by other code" in line


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_a_copy_counts_its_own_steps(copied: Any) -> None:
    run = Run(False, OURS)
    run.epoch(0)
    run.scheduler.step()
    twin = copied(run)
    twin.epoch(1)
    assert twin.scheduler._steps._optimizer is twin.optimizer is not run.optimizer
    assert len(twin.scheduler.decisions) == 3 and len(run.scheduler.decisions) == 2
    assert twin.scheduler.explain()
    run.epoch(1)
    assert same(twin.scheduler.state_dict(), run.scheduler.state_dict())


def test_of_two_schedulers_of_one_optimizer_the_newer_paces_it() -> None:
    """A cell of a notebook ran again: the older one must not put anything back."""

    def trained(schedulers: int) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Linear(8, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs, labels = data()
        probe, plan = Probe.sample(data(), 200), HoldAndDecay(steps=200)
        kept = [
            MutualInformationLR(optimizer, model, probe, policy=plan, every=10) for _ in range(schedulers)
        ]
        for step in range(60):
            batch = torch.arange(30) + 30 * (step % 20)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        assert [one.state_dict()["steps"] > 0 for one in kept] == [False] * (schedulers - 1) + [True]
        return model

    assert torch.equal(trained(1).weight, trained(2).weight)  # pyright: ignore[reportArgumentType]


def test_a_warning_names_the_line_of_the_user() -> None:
    """Under pytest functions of the library are wrapped, so the function here is one by its name only."""
    inside: dict[str, Any] = {"__name__": "torch.optim", "warn": warn}
    exec("def step():\n    warn('of a hook')", inside)
    with pytest.warns(UserWarning, match="of a hook") as found:
        inside["step"]()
    assert found[0].filename == __file__


@pytest.mark.parametrize(("given", "warned"), [(20, False), (18, False), (600, True), (1, True)])
def test_another_number_of_steps_in_an_epoch_is_warned_of(given: int, warned: bool) -> None:
    """The number of examples instead of that of batches, or observe after each batch."""
    torch.manual_seed(0)
    model, (inputs, labels) = nn.Linear(8, 4), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(
        optimizer, model, Probe.sample(data(), 200), policy=HoldAndDecay(5), steps_per_epoch=given
    )
    with Warned() as messages:
        for _ in range(2):
            for batch in torch.arange(600).split(30):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
                optimizer.step()
            scheduler.observe()
            scheduler.step()
    said = f"steps_per_epoch must be the optimizer steps between two calls of observe, got {given} where there were 20"
    assert sum(one.startswith(said) for one in messages) == warned, messages


@pytest.mark.parametrize("milestone", [3, 30])
def test_a_warm_up_by_another_scheduler_does_not_multiply_the_rate_that_was_found(milestone: int) -> None:
    """Of epochs, or of steps: milestones of both kinds are used."""
    loop = Loop(every=None, policy=HoldAndDecay(10), steps_per_epoch=10)
    parts = [LinearLR(loop.optimizer, 0.01, 1.0, milestone), loop.scheduler]
    both = SequentialLR(loop.optimizer, parts, milestones=[milestone])
    with Warned() as messages:
        for step in range(40):
            loop.train(1)
            if step % 10 == 9:
                loop.scheduler.observe()
            if milestone == 30 or step % 10 == 9:
                both.step()
    after = loop.rates[loop.finding.index(False) :]
    assert len(after) > 20 and set(after) == {loop.scheduler.bounds.lr_max}  # type: ignore[union-attr]
    (said,) = [one for one in messages if "has changed the learning rate" in one]
    assert "after a search it is set back before each step" in said
