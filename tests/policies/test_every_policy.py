"""One table through which every policy passes: what must hold whatever the rule."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given

import infopace
from infopace import Bounds, Policy
from infopace.policies import simulate

from .every import BOUNDS, EVERY, REFERENCE, all_bounds, information, traces

every = pytest.mark.parametrize("policy", EVERY.values(), ids=EVERY.keys())


def test_every_public_policy_is_in_the_table() -> None:
    public = [getattr(infopace, name) for name in infopace.__all__]
    rules = {each for each in public if hasattr(each, "decide") and each is not Policy}
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
        assert (now.cause == "start") == (before is None)
        if now.cause == "held":
            assert before is not None and now.lr == before.lr
        if now.cause == "floor":
            assert now.lr == bounds.lr_min


@every
@given(trace=traces)
def test_causes_are_the_documented_ones(policy: Policy, trace: list[float]) -> None:
    causes = {decision.cause for decision in simulate(policy, trace, reference=REFERENCE, bounds=BOUNDS)}
    documented = infopace.Decision.__doc__ or ""
    assert [cause for cause in causes if f'"{cause}"' not in documented] == []


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
    arguments = {"epoch": len(trace), "reference": REFERENCE, "bounds": BOUNDS}
    fresh = copy.deepcopy(policy).decide(trace, **arguments)
    policy.decide([2.0, 0.1, 1.9], epoch=3, reference=1.5, bounds=Bounds(1e-5, 1.0))
    assert policy.decide(tuple(trace), **arguments) == policy.decide(trace, **arguments) == fresh
    assert trace == given_history


@every
@pytest.mark.parametrize(
    ("history", "epoch", "reference", "message"),
    [
        ([0.1], 2, 2.3, "epoch e needs the e values before it, got epoch = 2 with 1 values"),
        ([], 0, 2.3, "epoch e needs the e values before it, got epoch = 0 with 0 values"),
        ([0.1, math.nan], 2, 2.3, "information must be finite, got nan at index 1"),
        ([0.1], 1, 0.0, "reference must be a positive number of nats, got 0.0"),
    ],
)
def test_refuses_a_history_that_does_not_fit(
    policy: Policy, history: list[float], epoch: int, reference: float, message: str
) -> None:
    with pytest.raises(ValueError) as error:
        policy.decide(history, epoch=epoch, reference=reference, bounds=BOUNDS)
    assert str(error.value) == message
