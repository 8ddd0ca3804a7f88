"""`HoldAndDecay` within a plan, against a slow, obvious form of itself, and what it promises there."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from infopace import HoldAndDecay
from infopace.policies import Decision, HeldOut, Observed, simulate

from .traces import BOUNDS, HOLD, TRACES, moved, rates, saturating, spread


def falls(window: np.ndarray) -> bool:
    """Whether a line through the means falls by more than the examples and the scatter of the means explain."""
    n, x = len(window), np.arange(len(window))
    rises = np.polyfit(x, window, 1)[0] * (n - 1)
    means = window.mean(1)
    left = means - np.polyval(np.polyfit(x, means, 1), x)
    error = math.sqrt(float(left @ left) / (n - 2)) / (math.sqrt(n) * float(x.std())) * (n - 1)
    wander = stats.t.ppf(0.975, n - 2) * error
    return -rises.mean() > max(1.96 * rises.std(ddof=1) / math.sqrt(len(rises)), wander)


def sinks(values: list[float], noise: float) -> bool:
    """Whether a line through values falls by more than noise, and than their scatter explains."""
    n, x = len(values), np.arange(len(values))
    if n < 4:
        return False
    slope, start = np.polyfit(x, values, 1)
    left = np.asarray(values) - start - slope * x
    error = math.sqrt(float(left @ left) / (n - 2)) / (math.sqrt(n) * float(x.std())) * (n - 1)
    return -slope * (n - 1) > max(noise, stats.t.ppf(0.975, n - 2) * error)


def record(nats: list[float]) -> int:
    """The last value that is more than a hundredth above all that were so before it."""
    records = [0]
    for epoch, value in enumerate(nats):
        if value > nats[records[-1]] + BOUNDS.epsilon * abs(nats[records[-1]]):
            records.append(epoch)
    return records[-1]


def standard_error(each: np.ndarray) -> float:
    return float(each.std(ddof=1)) / math.sqrt(len(each))


def best_held_out(each: np.ndarray) -> int:
    """The last epoch that is better than the best before it by more than the standard error of the difference."""
    best = 0
    for epoch in range(1, len(each)):
        more = each[epoch] - each[best]
        if more.mean() > standard_error(more):
            best = epoch
    return best


def slow_within(
    epochs: int, trace: list[float], returns: bool, held_out: HeldOut | None = None
) -> list[tuple[float, int | None, bool]]:
    """The same within a plan: rates, the epochs to return to, and whether the decay is watched."""
    found: list[tuple[float, int | None, bool]] = []
    start, lowered, level, held = 0, 0, math.inf, HOLD
    hold_end, end, watched, again = None, epochs, None, False
    for done, now in enumerate(trace):
        back = None
        best = record(trace[: done + 1])
        half = start + (done + 1 - start) // 2
        by_heart = stands = worse = False
        first, rise, scatter = half, 1.0, 0.0
        if held_out is not None:
            best = best_held_out(held_out.pointwise[: done + 1])
        fresh = held_out is not None and done < len(held_out)
        if held_out is not None and fresh:
            first = half + (half == start and lowered > 0)
            window, each = held_out.pointwise[first : done + 1], held_out.pointwise[done]
            harder = max(trace[0] - held_out.nats[0], 0)
            more = now - harder - each.mean()
            by_heart = more - each.mean() > 2 * 1.96 * standard_error(each)
            worse = now > trace[best]
            if len(window) >= 4:
                x = np.arange(len(window))
                rise = float(np.polyfit(x, window, 1)[0].mean())
                left = window.mean(1) - np.polyval(np.polyfit(x, window.mean(1), 1), x)
                scatter = math.sqrt(float(left @ left) / (len(window) - 2))
                stands = rise <= 0 and more > 1.96 * standard_error(each)
        if hold_end is None and done >= max(epochs / 2, 1):
            hold_end = done
            watched = 1.96 * math.sqrt(2) * scatter if stands else None
        elif hold_end is None and held_out is not None and fresh and done + 1 - first >= 4:
            if rise <= 0 and worse and (by_heart or falls(held_out.pointwise[first : done + 1])):
                hold_end, end, back = done, min(done + max(best, 4), epochs), best
        elif hold_end is not None and watched is not None and held_out is not None and fresh and done < end:
            below = held_out.pointwise[best] - held_out.pointwise[done]
            fallen = below.mean() > max(1.96 * standard_error(below), watched)
            if below.mean() > 0 and worse and (fallen or by_heart):
                end = done if again else min(done + max(best, 4), epochs)
                hold_end, back, again = done, best, True
        if hold_end is None and done > start:
            least = min([*trace[max(half, start + 1) : done], level])
            noise = BOUNDS.epsilon * abs(least)
            if held_out is not None and fresh:
                noise = max(noise, standard_error(held_out.pointwise[done]))
            noise *= 1.96 * math.sqrt(2)
            fell = now < least - noise or sinks(trace[max(half, start + 1) : done + 1], noise)
            if fell and math.isfinite(least) and held > BOUNDS.lr_min:
                start, lowered, back = done, lowered + 1, best
                level = min(least, trace[best]) if returns else now
                held = max(0.1 / 2 ** (lowered - 1), BOUNDS.lr_min)
        if hold_end is None:
            lr = 0.1 if done == 0 else held
        else:
            lr = (
                max(held * (end - done - 0.5) / (end - hold_end), BOUNDS.lr_min)
                if done < end
                else BOUNDS.lr_min
            )
        # The plan's end is no decision of the rule.
        back = back if returns and done < epochs else None
        found.append((lr, back, watched is not None and done < end))
    return found


def assert_as_slow(decisions: list[Decision], expected: list[tuple[float, int | None, bool]]) -> None:
    assert [d.lr for d in decisions] == pytest.approx([lr for lr, _, _ in expected])
    assert [d.back for d in decisions] == [back for _, back, _ in expected]
    assert [d.watched for d in decisions] == [watched for _, _, watched in expected]


@settings(deadline=None, max_examples=60)
@given(TRACES, st.integers(1, 60), st.booleans())
def test_within_a_plan_it_is_what_its_slow_form_says(trace: list[float], epochs: int, returns: bool) -> None:
    found = simulate(HoldAndDecay(epochs), trace, bounds=BOUNDS, returns=returns)
    assert_as_slow(found, slow_within(epochs, trace, returns))


@settings(deadline=None, max_examples=80)
@given(TRACES, TRACES, st.sampled_from((1e-3, 0.03, 0.3)), st.integers(1, 60), st.booleans())
def test_within_a_plan_and_with_held_out_examples_too(
    trace: list[float], carried: list[float], scatter: float, epochs: int, returns: bool
) -> None:
    held_out = spread(carried, scatter)
    found = simulate(HoldAndDecay(epochs), trace, bounds=BOUNDS, held_out=held_out, returns=returns)
    assert_as_slow(found, slow_within(epochs, trace, returns, held_out))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(8, 40),
    st.integers(2, 12),
    # A rise of zero is one or none by the last bits of a sum.
    st.integers(-100, 20).map(lambda i: (i + 0.5) / 1000),
    st.integers(0, 200).map(lambda i: (i + 0.5) / 1000),
    st.integers(-200, 100).map(lambda i: (i + 0.5) / 1000),
    st.sampled_from((0.01, 0.1, 0.5)),
    st.booleans(),
)
def test_a_decay_is_watched_as_its_slow_form_says(
    epochs: int, peak: int, slope: float, learned: float, later: float, scatter: float, returns: bool
) -> None:
    # Held-out information rises to a peak, then goes its way, and another one in the second half of the plan.
    level = [0.2 * min(e, peak) + slope * max(min(e, epochs // 2) - peak, 0) for e in range(epochs)]
    carried = [value + later * max(e - epochs // 2, 0) for e, value in enumerate(level)]
    trained = [0.2 * min(e, peak) + learned * max(e - peak, 0) for e in range(epochs)]
    held_out = spread(carried, scatter)
    found = simulate(HoldAndDecay(epochs), trained, bounds=BOUNDS, held_out=held_out, returns=returns)
    assert_as_slow(found, slow_within(epochs, trained, returns, held_out))


def test_a_network_that_overfits_returns_to_its_best_and_decays_as_long() -> None:
    # Information about held-out examples rises for eight epochs and falls in the next twelve.
    trained = [0.15 * e for e in range(40)]
    carried = [*saturating(9, tau=3), *[saturating(9, tau=3)[-1] - 0.05 * e for e in range(1, 13)]]
    found = simulate(HoldAndDecay(60), trained, bounds=BOUNDS, held_out=spread(carried, 0.01), returns=True)
    hold = [d.phase for d in found].index("decay")
    assert 10 < hold < 21
    assert found[hold].back == 8
    assert [d.back for d in found].count(None) == len(found) - 1
    assert [d.phase for d in found].index("finished") == hold + 8
    assert "held-out information fell by" in found[hold].reason
    # A tenth of the fall, as noise from epoch to epoch, is none.
    noise = 0.05 * np.random.default_rng(0).standard_normal(21)
    level = [*saturating(9, tau=3), *[saturating(9, tau=3)[-1] + value for value in noise[:12]]]
    assert "decay" not in moved(HoldAndDecay(60), trained[:21], spread(level, 0.01))


def test_a_network_that_knows_more_by_heart_overfits_too() -> None:
    # Held-out information settles at 0.5 nats, and is not seen to fall. More and more is known of training examples.
    trained = [0.08 * e for e in range(30)]
    carried = spread([min(value, 0.5) for value in trained], 0.2)
    found = simulate(HoldAndDecay(60), trained, bounds=BOUNDS, held_out=carried, returns=True)
    hold = [d.phase for d in found].index("decay")
    assert trained[hold] - 0.5 > 0.5 > trained[hold - 4] - 0.5
    assert found[hold].back == 6
    assert "by heart, and 0.5 about held-out examples" in found[hold].reason


def overfitting_late(later: float, scatter: float = 0.1) -> tuple[list[float], HeldOut]:
    """The hold stands still from epoch 6 of 40 to 20, with a gap; then held-out information changes by `later`."""
    trained = [0.2 * min(e, 6) + 0.05 * max(e - 6, 0) for e in range(40)]
    carried = [0.2 * min(e, 6) - 0.001 * max(e - 6, 0) + later * max(e - 20, 0) for e in range(40)]
    return trained, spread(carried, scatter)


def test_a_decay_is_watched_where_the_hold_stood_still_and_ends_from_the_best_network() -> None:
    trained, held_out = overfitting_late(-0.1)
    found = simulate(HoldAndDecay(40), trained, bounds=BOUNDS, held_out=held_out, returns=True)
    assert [d.phase for d in found].index("decay") == 20
    assert not any(d.watched for d in found[:20]) and found[20].watched
    first = next(i for i, d in enumerate(found) if d.back is not None)
    assert 20 < first < 24 and found[first].back == 6
    assert "below the best" in found[first].reason and found[first].phase == "decay"
    # It returned, and this trace goes on to fall all the same: a second time, and the run ends with the best.
    second = next(i for i, d in enumerate(found) if d.back is not None and i > first)
    assert (found[second].phase, found[second].back, found[second].watched) == ("finished", 6, False)
    assert {d.phase for d in found[second:]} == {"finished"}
    # Without a way back the network decays from where it is.
    without = simulate(HoldAndDecay(40), trained, bounds=BOUNDS, held_out=held_out)
    assert [d.back for d in without] == [None] * 40
    assert without[first].lr == found[first].lr


def test_a_watched_decay_that_loses_nothing_goes_on_to_the_end() -> None:
    trained, held_out = overfitting_late(0.01)
    found = simulate(HoldAndDecay(40), trained, bounds=BOUNDS, held_out=held_out, returns=True)
    assert [d.watched for d in found] == [False] * 20 + [True] * 20
    assert [d.lr for d in found] == pytest.approx(rates(HoldAndDecay(40), trained))
    # Where held-out information still rises, held-out examples may join.
    rising = spread([0.2 * min(e, 6) + 0.02 * max(e - 6, 0) for e in range(40)], 0.1)
    found = simulate(HoldAndDecay(40), trained, bounds=BOUNDS, held_out=rising, returns=True)
    assert not any(d.watched for d in found)


def test_information_that_falls_about_both_is_no_overfitting() -> None:
    # The rate was too high: the network forgets its own examples too.
    trained = [0.3 * min(e, 8) - 0.02 * max(e - 8, 0) for e in range(30)]
    carried = spread([0.2 * min(e, 8) - 0.1 * max(e - 8, 0) for e in range(30)], 0.01)
    found = simulate(HoldAndDecay(60), trained, bounds=BOUNDS, held_out=carried, returns=True)
    assert "decay" not in [d.phase for d in found]


def test_a_plan_that_ends_within_a_unit_decays_to_its_end() -> None:
    # 500 steps in units of 40: the last half of a unit is planned too.
    found = simulate(HoldAndDecay(steps=500), [0.1 * e for e in range(14)], bounds=BOUNDS, unit=40)
    assert [d.phase for d in found].index("decay") == 7
    assert [d.phase for d in found].index("finished") == 13
    ends = [(d.at(0.0), d.at(1.0)) for d in found[7:13]]
    assert ends[0][0] == pytest.approx(HOLD)
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(ends))
    # It falls by the same with each step until the last whole unit.
    assert ends[-1][0] == pytest.approx(HOLD * 0.5 / 5.5) and ends[-1][1] == pytest.approx(0.0, abs=1e-12)
    shaped = simulate(
        HoldAndDecay(steps=500, shape=lambda t: 1 - t), [0.1 * e for e in range(14)], bounds=BOUNDS, unit=40
    )
    assert [d.lr for d in shaped] == pytest.approx([d.lr for d in found])
    assert [d.change for d in shaped] == pytest.approx([d.change for d in found])


def test_within_a_plan_a_hold_that_gains_nothing_lasts_half_of_it() -> None:
    flat, quiet = [1.0] * 40, spread([1.0] * 40, 0.01)
    for held_out in (None, quiet):
        found = moved(HoldAndDecay(40), flat, held_out)
        assert (found.index("decay"), found.count("decay")) == (20, 20)
        early = moved(HoldAndDecay(40, stop_early=True), flat, held_out)
        assert early.index("decay") < 8


def test_where_epochs_are_known_held_out_examples_do_not_lead_beyond_them() -> None:
    rising = [0.05 * e for e in range(40)]
    found = moved(HoldAndDecay(15), rising, spread(rising, 1e-3))
    assert found.index("decay") == 8
    assert found.index("finished") == 15


def test_a_fall_within_the_error_of_the_estimate_is_none() -> None:
    # On a plateau values of 1e-6 nats fall by much more than a hundredth of themselves.
    trace = [5e-6, 9e-6, 8e-6, 7e-6, 1e-6, 1e-6]
    rule = HoldAndDecay(20)

    def held(errors: list[float | None]) -> float:
        return rule.decide(Observed(trace, None, BOUNDS, errors=errors)).lr

    assert held([]) == held([None] * 6) < HOLD
    assert held([1e-3] * 6) == HOLD
    # Each value has its own.
    assert held([1e-3, 1e-3, 1e-3, 1e-3, 1e-9, 1e-9]) < HOLD
