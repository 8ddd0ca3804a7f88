"""One table through which every policy passes: what must hold whatever the rule."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any, get_args

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infopace
from infopace import Bounds, Decision, HoldAndDecay, Policy, Vasudevan2020, policies
from infopace.policies import HeldOut, Observed, Phase, simulate

from .every import BOUNDS, EVERY, REFERENCE, all_bounds, information, traces

every = pytest.mark.parametrize("policy", EVERY.values(), ids=EVERY.keys())


def test_every_public_policy_is_in_the_table() -> None:
    public = [each for each in vars(policies).values() if isinstance(each, type)]
    rules = {each for each in public if each is not Policy and Policy in each.__mro__}
    assert {type(policy) for policy in EVERY.values()} == rules
    assert all(isinstance(policy, Policy) for policy in EVERY.values())


@every
@given(trace=traces, bounds=all_bounds)
def test_stays_in_bounds_and_says_why(policy: Policy, trace: list[float], bounds: Bounds) -> None:
    decisions = simulate(policy, trace, reference=REFERENCE, bounds=bounds)
    assert len(decisions) == len(trace)
    for before, now in zip([None, *decisions], decisions, strict=False):
        assert bounds.lr_min <= now.lr <= bounds.lr_max
        assert now.reason and "\n" not in now.reason
        assert now.reason.startswith("start ") == (before is None) or "triangle" in now.reason
        assert before is not None or now.phase == "hold"
        if now.reason.startswith("held"):
            assert now.phase == "hold"
            assert before is not None and now.lr == before.lr
        if "at the floor" in now.reason or now.phase == "finished":
            assert now.lr == bounds.lr_min


@every
@given(trace=traces)
def test_phases_are_the_documented_ones(policy: Policy, trace: list[float]) -> None:
    phases = {decision.phase for decision in simulate(policy, trace, reference=REFERENCE, bounds=BOUNDS)}
    documented = infopace.Decision.__doc__ or ""
    assert phases <= {*get_args(Phase)}
    assert [phase for phase in phases if f'"{phase}"' not in documented] == []


@every
@given(trace=traces, more=information)
def test_the_future_does_not_change_the_past(policy: Policy, trace: list[float], more: float) -> None:
    longer = simulate(policy, [*trace, more], reference=REFERENCE, bounds=BOUNDS)
    assert longer[:-1] == simulate(policy, trace, reference=REFERENCE, bounds=BOUNDS)


@every
@given(trace=traces)
def test_remembers_nothing(policy: Policy, trace: list[float]) -> None:
    # The last decision by a policy that has seen nothing, twice by one that has just decided for another history.
    given_history = list(trace)
    observed = Observed(trace, REFERENCE, BOUNDS)
    fresh = copy.deepcopy(policy).decide(observed)
    policy.decide(Observed([2.0, 0.1, 1.9], 1.5, Bounds(1e-5, 1.0)))
    as_tuple = Observed(tuple(trace), REFERENCE, BOUNDS)
    assert policy.decide(as_tuple) == policy.decide(observed) == fresh
    assert trace == given_history


@every
@given(trace=traces, rolled_back=st.integers(0, 9), begun=st.integers(0, 9))
def test_epochs_that_are_gone_are_taken_off_those_that_were_planned(
    policy: Policy, trace: list[float], rolled_back: int, begun: int
) -> None:
    shorter = policy
    if isinstance(policy, HoldAndDecay | Vasudevan2020) and policy.epochs is not None:
        shorter = dataclasses.replace(policy, epochs=max(policy.epochs - rolled_back - begun, 1))
    observed = Observed(trace, REFERENCE, BOUNDS, rolled_back=rolled_back, begun=begun)
    ours, other = policy.decide(observed), shorter.decide(Observed(trace, REFERENCE, BOUNDS))
    # The reasons name epochs as they are counted from the first of the run.
    assert dataclasses.replace(ours, reason="") == dataclasses.replace(other, reason="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": []}, "history must begin with the untrained model's information, got []"),
        ({"history": [0.1, math.nan]}, "information must be finite, got nan at index 1"),
        ({"reference": 0.0}, "reference must be a positive number of nats, got 0.0"),
        ({"rolled_back": -1}, "rolled_back must be at least 0, got -1"),
        ({"begun": -1}, "begun must be a finite number of at least 0, got -1"),
    ],
)
def test_refuses_what_cannot_have_been_observed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Observed(**{"history": [0.1], "reference": REFERENCE, "bounds": BOUNDS, **change})
    assert str(error.value) == message


def test_what_is_no_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them first
    for policy, message in (
        (None, "policy must be a Policy, with a method decide, got None"),
        (HoldAndDecay, "policy must be an object, not its class: HoldAndDecay(...)"),
    ):
        with pytest.raises(TypeError) as error:
            simulate(policy, [0.0], reference=REFERENCE, bounds=BOUNDS)  # pyright: ignore[reportArgumentType]
        assert str(error.value) == message


def test_held_out_information_is_for_policies_that_say_that_they_read_it() -> None:
    held_out = HeldOut([[0.0, 1.0]])
    for policy in EVERY.values():
        if policy.reads_held_out:
            assert simulate(policy, [0.0], reference=REFERENCE, bounds=BOUNDS, held_out=held_out)
        else:
            with pytest.raises(TypeError, match=r"^held_out needs a policy that reads it, got "):
                simulate(policy, [0.0], reference=REFERENCE, bounds=BOUNDS, held_out=held_out)
    assert [type(policy) for policy in EVERY.values() if policy.reads_held_out] == [HoldAndDecay] * 2


@pytest.mark.parametrize(
    ("lr", "phase", "reason", "change", "message"),
    [
        (math.nan, "hold", "", 0.0, "lr must be a finite number of at least 0, got nan"),
        (-0.1, "hold", "", 0.0, "lr must be a finite number of at least 0, got -0.1"),
        ("0.1", "hold", "", 0.0, "lr must be a finite number of at least 0, got '0.1'"),
        (0.1, "cooldown", "", 0.0, "phase must be one of 'hold', 'decay', 'finished', got 'cooldown'"),
        (0.1, "hold", None, 0.0, "reason must be a sentence, got None"),
        (0.1, "hold", "", math.inf, "change must be a finite number, got inf"),
    ],
)
def test_a_decision_that_no_optimizer_could_follow_is_refused(
    monkeypatch: pytest.MonkeyPatch, lr: Any, phase: Any, reason: Any, change: Any, message: str
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    with pytest.raises((ValueError, TypeError)) as error:
        Decision(lr, phase, reason, change)
    assert str(error.value) == message


def test_a_decision_holds_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    decision = Decision(np.float32(0.5), "hold", "", change=np.float64(0.25))  # pyright: ignore[reportArgumentType]
    assert [type(decision.lr), type(decision.change)] == [float, float]


def test_a_policy_that_returns_something_else_is_named() -> None:
    class Bare(Policy):
        def decide(self, observed: Observed) -> Any:
            return 0.1

    with pytest.raises(TypeError, match=r"a policy must return Decision\(lr, phase, reason\), got 0.1 from"):
        simulate(Bare(), [0.0], bounds=BOUNDS)
