"""Our rule against a slow, obvious form of itself, and what it promises."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import Bounds, HoldAndDecay
from infopace.policies import HeldOut, Observed, simulate

from .every import moves
from .traces import BOUNDS, HOLD, REFERENCE, TRACES, moved, rates, saturating, spread


def slow(policy: HoldAndDecay, trace: list[float], held_out: HeldOut | None = None) -> list[float]:
    """Epoch by epoch as a person would do it, each line fitted by numpy."""
    found: list[float] = []
    start, hold_end, end = 0, None, math.inf
    floor = leap = math.nan
    lowered, held = 0, HOLD
    low: list[bool] = []
    high: list[float | None] = []
    for done, now in enumerate(trace):
        if policy.epochs is not None and done >= policy.epochs:
            found.append(BOUNDS.lr_min)
            continue
        if hold_end is None and done >= start + (1 if lowered else 2):
            fall = trace[done - 1] - now
            noise = 1.96 * math.sqrt(2) * BOUNDS.epsilon
            worse = trace[start] - now > noise * abs(trace[start])
            if fall > noise * abs(trace[done - 1]) and (worse or not lowered):
                lowered, start = lowered + 1, done
        if hold_end is None:
            values = trace[start : done + 1]
            known = policy.epochs is not None and start < policy.epochs
            over = known and done - start >= (policy.epochs or 0) / 2 - start / 2
            window, fewest = np.asarray(values[len(values) // 2 :])[:, None], 4
            fresh = None if held_out is None or done >= len(held_out) else held_out
            if fresh is not None:
                window, fewest = fresh.pointwise[start + len(values) // 2 : done + 1], 3
            if len(window) >= fewest:
                rises = np.polyfit(np.arange(len(window)), window, 1)[0] * (len(window) - 1)
                least = 1.96 * BOUNDS.epsilon * abs(now)
                if fresh is not None:
                    least = 1.96 * rises.std(ddof=1) / math.sqrt(len(rises))
                over = over or rises.mean() <= least
            if over:
                hold_end = done
                low, high = [False], [None]
                level, scatter, rise = now, 0.0, 0.0
                window = values[len(values) // 2 :]
                if fresh is not None and len(window) < 4:
                    window = trace[max(start, 1) : done + 1][-4:]
                if len(window) >= 4:
                    x = np.arange(len(window))
                    slope, intercept = np.polyfit(x, window, 1)
                    left = np.asarray(window) - slope * x - intercept
                    scatter = math.sqrt(float(left @ left) / (len(window) - 2))
                    level = slope * x[-1] + intercept
                    rise = slope * (len(window) - 1)
                end = 2 * done - start
                if policy.epochs is not None:
                    end = policy.epochs if held_out is None else min(end, policy.epochs)
                noise = math.hypot(scatter, BOUNDS.epsilon * abs(now))
                floor = level - 1.96 * noise
                leap = max(rise, 0) + 1.96 * noise * math.sqrt(2)
        else:
            low.append(now < floor)
            before = max(trace[done - 1], trace[max(done - 2, 0)])
            high.append(before if now > before + leap else None)
            again = low[-2:] == [True, True] or (high[-2] is not None and now > high[-2] + leap)
            if again and (policy.epochs is None or policy.epochs - done >= 2):
                start, hold_end, lowered = done, None, 0
        if hold_end is None:
            held = 0.1 if lowered or done == 0 else HOLD
            if lowered > 1:
                held = max(0.1 / 2 ** (lowered - 1), BOUNDS.lr_min)
            found.append(held)
        elif done + 1 > end:
            found.append(BOUNDS.lr_min)
        else:
            found.append(max(held * (end - done - 0.5) / (end - hold_end), BOUNDS.lr_min))
    return found


@settings(deadline=None, max_examples=40)
@given(TRACES, st.none() | st.integers(1, 60))
def test_it_is_what_its_slow_form_says(trace: list[float], epochs: int | None) -> None:
    policy = HoldAndDecay(epochs, stop_early=True)
    assert rates(policy, trace) == pytest.approx(slow(policy, trace))


@settings(deadline=None, max_examples=80)
@given(TRACES, TRACES, st.sampled_from((1e-3, 0.03, 0.3)), st.none() | st.integers(1, 60))
def test_with_held_out_examples_it_is_what_its_slow_form_says(
    trace: list[float], carried: list[float], scatter: float, epochs: int | None
) -> None:
    policy, held_out = HoldAndDecay(epochs, stop_early=True), spread(carried, scatter)
    assert rates(policy, trace, held_out=held_out) == pytest.approx(slow(policy, trace, held_out))


@pytest.mark.parametrize("epochs", [40, None])
def test_held_out_examples_end_the_hold_and_the_run_ends_twice_as_late(epochs: int | None) -> None:
    # Information about training examples keeps rising; about held-out examples it rises for five epochs.
    trained = [0.15 * e for e in range(40)]
    carried = spread([min(value, 0.75) for value in trained[:12]], 0.01)
    assert moved(HoldAndDecay(40), trained).index("decay") == 20
    policy = HoldAndDecay(epochs, stop_early=True)
    found = simulate(policy, trained, reference=REFERENCE, bounds=BOUNDS, held_out=carried)
    hold = [d.phase for d in found].index("decay")
    assert 5 < hold < 12
    assert [d.phase for d in found].index("finished") == 2 * hold
    assert "held-out information rose by" in found[hold].reason


def test_what_examples_differ_by_from_the_start_is_no_noise() -> None:
    # Half of the examples are easy and half are hard, by far more than is learned about any.
    rising = np.linspace(0, 0.4, 30)[:, None] + np.tile([3.0, -3.0], 20)
    trained = rising.mean(1).tolist()
    assert "decay" not in moved(HoldAndDecay(None), trained, HeldOut(rising))
    # The same mean, but the rises scatter: now that is the noise of the mean rise.
    scatter = np.random.default_rng(0).normal(0, 2, rising.shape)
    noisy = rising + scatter - scatter.mean(1, keepdims=True)
    assert moved(HoldAndDecay(None), trained, HeldOut(noisy)).index("decay") < 12


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 30))
def test_a_rise_is_that_of_a_line_for_each_example(seed: int, epochs: int, n: int) -> None:
    values = np.random.default_rng(seed).normal(size=(epochs + 2, n))
    rise, error = HeldOut(values).rise(2, epochs + 1)
    each = [np.polyfit(range(epochs), values[2:, i], 1)[0] * (epochs - 1) for i in range(n)]
    assert rise == pytest.approx(np.mean(each), abs=1e-9)
    assert error == pytest.approx(np.std(each, ddof=1) / math.sqrt(n), abs=1e-9)
    # What an example contributes at all times cancels out.
    shifted = HeldOut(values + 100 * np.arange(n)).rise(2, epochs + 1)
    assert shifted == pytest.approx((rise, error), abs=1e-9)


def test_examples_that_were_held_out_once_are_not_asked_again() -> None:
    trace = saturating(60, tau=3)
    changed = [*trace[:30], *[value - 0.5 for value in trace[30:]]]
    without = moved(HoldAndDecay(None), changed)[30:]
    hold = moved(HoldAndDecay(None), changed).index("decay")
    held_out = spread(changed[: hold + 1], 0.01)
    assert moved(HoldAndDecay(None), changed, held_out)[30:].count("held") == without.count("held")


@settings(deadline=None, max_examples=40)
@given(TRACES, st.none() | st.integers(1, 60))
def test_rates_stay_within_the_bounds(trace: list[float], epochs: int | None) -> None:
    assert all(BOUNDS.lr_min <= lr <= HOLD * 1.0000001 for lr in rates(HoldAndDecay(epochs), trace))


def test_it_holds_while_information_rises_and_decays_when_it_does_not() -> None:
    found = moved(HoldAndDecay(100, stop_early=True), saturating(100, tau=8))
    held = found.count("held")
    assert found == ["start", "raised", *["held"] * held, *["decay"] * (98 - held)]
    # The last e-folds of 2.25 nats that are still significant at 0.02 nats: four or five.
    assert 25 <= held <= 60
    falling = rates(HoldAndDecay(100, stop_early=True), saturating(100, tau=8))[held + 2 :]
    assert all(now < before or now == before == BOUNDS.lr_min for before, now in pairwise(falling))
    assert falling[-1] <= 0.5 * HOLD / (98 - held) + BOUNDS.lr_min


@pytest.mark.slow
def test_the_slower_the_learning_the_longer_the_hold() -> None:
    holds = [moved(HoldAndDecay(None), saturating(200, tau)).count("held") for tau in (2, 5, 12, 24)]
    assert holds == sorted(holds)
    assert holds[-1] > 4 * holds[0]


def test_without_a_horizon_it_decays_as_long_as_it_held_and_is_finished() -> None:
    found = moved(HoldAndDecay(None), saturating(150, tau=8, noise=0.02))
    hold = found.index("decay")
    assert found.index("finished") == 2 * hold
    assert set(found[2 * hold :]) == {"finished"}


def test_with_a_horizon_there_always_is_time_to_decay() -> None:
    rising = [0.02 * e for e in range(100)]
    found = moved(HoldAndDecay(100), rising)
    assert found.index("decay") == 50
    assert rates(HoldAndDecay(100), rising)[99] == pytest.approx(HOLD * 0.5 / 50)
    assert "decay" in moved(HoldAndDecay(1), [0.0]) + moved(HoldAndDecay(2), [0.0, 1.0])


@pytest.mark.slow
def test_noise_alone_ends_no_decay_and_a_fall_does() -> None:
    for seed in range(5):
        assert "again" not in moved(HoldAndDecay(None), saturating(150, 8, noise=0.01, seed=seed))
    trace = saturating(60, tau=3)
    changed = [*trace[:30], *[value - 0.5 for value in trace[30:]]]
    found = simulate(HoldAndDecay(200, stop_early=True), changed, reference=REFERENCE, bounds=BOUNDS)
    again = moves(found).index("again")
    assert again == 31  # once may be chance, so the second low epoch counts
    assert found[again].lr == HOLD > found[again - 1].lr
    assert "fallen" in found[again].reason


def test_a_rate_at_which_information_falls_is_given_up_for_lr_top() -> None:
    trace = [*saturating(5, tau=2), 1.2, *[1.2 + 0.05 * e for e in range(20)]]
    found = simulate(HoldAndDecay(60), trace, reference=REFERENCE, bounds=BOUNDS)
    assert moves(found)[:8] == ["start", "raised", *["held"] * 3, "lowered", "held", "held"]
    assert [d.lr for d in found][:5] == [0.1, HOLD, HOLD, HOLD, HOLD]
    assert [d.lr for d in found][5:20] == [0.1] * 15
    assert "fell by 0.55 below" in found[5].reason
    within_noise = [*trace[:5], trace[4] * 0.975]
    assert moved(HoldAndDecay(60), within_noise)[-1] == "held"


def test_where_information_falls_at_lr_top_too_half_of_it_is_held_and_so_on() -> None:
    fallen = [2.0 - 0.2 * e for e in range(1, 9)]
    trace = [*saturating(5, tau=2), *fallen, *[fallen[-1] + 0.05 * e for e in range(1, 6)]]
    found = simulate(HoldAndDecay(60), trace, reference=REFERENCE, bounds=BOUNDS)
    lowered = [d for d, move in zip(found, moves(found), strict=True) if move == "lowered"]
    expected = [max(0.1 / 2**k, BOUNDS.lr_min) for k in range(7)]
    assert [d.lr for d in lowered] == pytest.approx(expected)
    assert "hold 0.05 from here: information fell by 0.2" in lowered[1].reason
    assert {d.lr for d in found[-5:]} == {lowered[-1].lr}
    assert moves(found)[-1] == "held" and found[-1].reason.startswith("held until half of the plan is over")


def test_at_lr_top_a_fall_back_to_where_the_hold_began_is_none() -> None:
    trace = [*saturating(5, tau=2), 1.2, 1.5, 1.3, 1.6, 1.25, 1.7, 1.21, 1.8]
    assert moved(HoldAndDecay(60), trace).count("lowered") == 1


def test_after_a_single_low_epoch_the_decay_goes_on() -> None:
    trace = saturating(60, tau=3)
    trace[30] -= 0.5
    assert "again" not in moved(HoldAndDecay(200, stop_early=True), trace)


@pytest.mark.parametrize("epochs", [200, None])
def test_after_a_leap_of_information_it_holds_again(epochs: int | None) -> None:
    trace, policy = saturating(60, tau=3), HoldAndDecay(epochs, stop_early=True)
    changed = [*trace[:30], *[value + 0.3 for value in trace[30:]]]
    assert moved(policy, changed).index("again") == 31
    changed[31] -= 0.3  # once may be chance
    assert "again" not in moved(policy, changed[:32])


def test_what_the_decay_brings_is_no_leap() -> None:
    # An under-trained network, held for half of its epochs, gains as much again while the noise is taken away.
    hold = [0.9 * (1 - math.exp(-e / 4)) for e in range(11)]
    decay = [hold[-1] + 0.04 * e for e in range(1, 11)]
    assert "again" not in moved(HoldAndDecay(20, stop_early=True), [*hold, *decay])


@given(st.floats(1e-6, 1.0))
def test_one_rate_for_bounds_is_that_rate(lr: float) -> None:
    assert rates(HoldAndDecay(12), [0.0], Bounds(lr, lr, lr)) == [lr]


@pytest.mark.slow
def test_its_constants_are_fields() -> None:
    rising = saturating(150, tau=8)
    usual = moved(HoldAndDecay(), rising).index("decay")
    assert moved(HoldAndDecay(z=6.2), rising).index("decay") < usual
    assert moved(HoldAndDecay(window=0.25), rising).index("decay") < usual
    assert "decay" not in moved(HoldAndDecay(window=0.9), rising)  # nearly all of the rise is in the window
    assert moved(HoldAndDecay(100, longest=0.1), rising).index("decay") == 10
    assert moved(HoldAndDecay(fewest=20), [1.0] * 60).index("decay") == 38  # half of 39 values are 20
    assert rates(HoldAndDecay(100, middle=1.0), rising)[1] == pytest.approx(0.3)
    fallen = [2.0 - 0.2 * e for e in range(8)]
    lowered = [0.1 * 0.25**k for k in range(4)]
    assert rates(HoldAndDecay(60, lowered=0.25), fallen)[2:6] == pytest.approx(lowered)
    flat = spread([1.0] * 60, 0.01)
    assert moved(HoldAndDecay(fewest_held_out=6), [1.0] * 60, flat).index("decay") == 10  # half of 11 are 6
    with pytest.raises(TypeError):
        HoldAndDecay(100, 1.96)  # pyright: ignore[reportCallIssue]


def test_the_decay_may_have_another_shape() -> None:
    rising = saturating(100, tau=8)
    line = rates(HoldAndDecay(100), rising)
    assert rates(HoldAndDecay(100, shape=lambda over: 1 - over), rising) == pytest.approx(line)
    hold = moved(HoldAndDecay(100), rising).index("decay")
    bent = rates(HoldAndDecay(100, shape=lambda over: (1 - over) ** 2), rising)
    shares = [1 - (e + 0.5) / (100 - hold) for e in range(100 - hold)]
    assert bent[:hold] == line[:hold]
    assert bent[hold:] == pytest.approx([max(HOLD * share**2, BOUNDS.lr_min) for share in shares])


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"z": 0.0}, "z must be a positive number, got 0.0"),
        ({"window": 0.0}, "window must be a number above 0 and at most 1, got 0.0"),
        ({"longest": 1.5}, "longest must be a number above 0 and at most 1, got 1.5"),
        ({"middle": -0.1}, "middle must be a number from 0 to 1, got -0.1"),
        ({"lowered": math.nan}, "lowered must be a number above 0 and at most 1, got nan"),
        ({"fewest": 2}, "fewest must be at least 3, got 2"),
        ({"fewest_held_out": 1}, "fewest_held_out must be at least 2, got 1"),
    ],
)
def test_refuses_constants_out_of_range(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        HoldAndDecay(**constants)
    assert str(error.value) == message


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"information must be finite, got nan at index 1"):
        HeldOut([[0.0, 0.0], [0.0, math.nan]])
    with pytest.raises(ValueError, match=r"\(epochs, n\) for two examples or more, got shape \(2, 1\)"):
        HeldOut([[0.0], [1.0]])
    with pytest.raises(ValueError, match=r"\(epochs, n\) for two examples or more, got shape \(2,\)"):
        HeldOut([0.0, 1.0])
    for first, last in ((1, 1), (0, 2), (-1, 1)):
        with pytest.raises(ValueError, match=f"got first = {first} and last = {last}"):
            HeldOut([[0.0, 0.0], [1.0, 1.0]]).rise(first, last)
    with pytest.raises(ValueError, match=r"epochs must be at least 1, got 0"):
        HoldAndDecay(0)


def test_a_planned_run_is_over_at_its_end_whatever_is_seen_then() -> None:
    leaps = [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 1.6, 1.7]
    decisions = simulate(HoldAndDecay(epochs=10), leaps, bounds=BOUNDS)
    assert [decision.phase for decision in decisions[-3:]] == ["decay", "finished", "finished"]
    assert [decision.lr for decision in decisions[-2:]] == [BOUNDS.lr_min] * 2


def test_no_hold_begins_anew_without_time_to_decay() -> None:
    # A leap that stays, in every epoch of the decay phase.
    for at in range(8, 20):
        trace = [0.0] + [0.5] * (at - 1) + [2.0] * (21 - at)
        decisions = simulate(HoldAndDecay(epochs=20), trace, bounds=BOUNDS)
        assert decisions[-1].phase == "finished"
        assert decisions[-2].lr < BOUNDS.lr_top


def test_reasons_count_epochs_that_were_rolled_back_and_those_before_the_history() -> None:
    trace = saturating(6, 0.5)
    observed = Observed(trace, None, BOUNDS, rolled_back=2, begun=3)
    decided = HoldAndDecay(epochs=14).decide(observed)
    assert decided.reason.startswith("decaying, to end with epoch 14: ")
    unit = dataclasses.replace(observed, rolled_back=0, unit=40)
    assert HoldAndDecay(steps=440).decide(unit).reason.startswith("decaying since step ")
    over = Observed(trace, None, BOUNDS, rolled_back=4, begun=5)
    assert HoldAndDecay(epochs=14).decide(over).reason == "finished after epoch 14"


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), ("1", "'1'"), (None, "None")])
def test_a_shape_must_return_numbers(value: Any, shown: str) -> None:
    rule = HoldAndDecay(epochs=4, shape=lambda over: value)
    with pytest.raises(ValueError, match=rf"shape\(.*\) must be a finite number, got {shown}"):
        simulate(rule, [0.0, 1.0, 1.0], bounds=BOUNDS)
