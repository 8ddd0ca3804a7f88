"""The rule of Wang, Wang and Zhang 2024: the formula, when it attenuates, and the triangle."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace import Bounds
from infopace.policies import Wang2024, simulate

from .every import BOUNDS, REFERENCE, all_bounds, traces

cycles = st.integers(1, 7)


def by_the_formula(n: int, triangle: bool, trace: list[float], bounds: Bounds) -> list[float]:
    """Cycle by cycle, with one variable that is lowered."""
    rates: list[float] = []
    top, c = bounds.lr_top, 0
    while len(rates) < len(trace):
        if c > 0:
            now, before = trace[c * n], trace[(c - 1) * n]
            r = 1.0 if now <= 0 else (now - before) / now
            if r < bounds.epsilon:
                dp, dp_before = (min(max(1 - max(trace[: i * n + 1]) / REFERENCE, 0), 1) for i in (c, c - 1))
                ratio = 0.5 if dp_before == 0 else dp / dp_before
                top *= 0.5 if ratio < 0.5 else 1.0 if ratio > 1 else ratio
                if top < bounds.lr_min:
                    top = bounds.lr_min
        peak = (n + 1) // 2
        for j in range(1, n + 1):
            share = j / peak if j <= peak else (n + 1 - j) / (n + 1 - peak)
            rates.append((1 - share) * bounds.lr_min + share * top if triangle else top)
        c += 1
    return rates[: len(trace)]


@given(n=cycles, triangle=st.booleans(), trace=traces, bounds=all_bounds)
def test_equals_the_formula(n: int, triangle: bool, trace: list[float], bounds: Bounds) -> None:
    decisions = simulate(Wang2024(n, triangle), trace, reference=REFERENCE, bounds=bounds)
    expected = by_the_formula(n, triangle, trace, bounds)
    assert [decision.lr for decision in decisions] == pytest.approx(expected, rel=1e-9)


@given(n=cycles, trace=traces, bounds=all_bounds)
def test_attenuates_only_after_a_cycle_that_brought_less_than_epsilon(
    n: int, trace: list[float], bounds: Bounds
) -> None:
    decisions = simulate(Wang2024(n), trace, reference=REFERENCE, bounds=bounds)
    for e, (before, now) in enumerate(pairwise(decisions), 2):
        assert now.lr <= before.lr
        assert now.lr >= before.lr / 2 or now.lr == bounds.lr_min
        if now.lr < before.lr:
            assert (e - 1) % n == 0, f"only a cycle's first epoch may be lower, got epoch {e}"
            end, start = trace[e - 1], trace[e - 1 - n]
            assert end > 0 and (end - start) / end < bounds.epsilon
            assert now.phase == "decay"
            assert ("at the floor" if now.lr == bounds.lr_min else ": attenuated by ") in now.reason


@given(n=cycles, trace=traces, bounds=all_bounds)
def test_the_triangle_is_topped_by_the_current_rate(n: int, trace: list[float], bounds: Bounds) -> None:
    plain, triangle = (
        [d.lr for d in simulate(Wang2024(n, each), trace, reference=REFERENCE, bounds=bounds)]
        for each in (False, True)
    )
    for start in range(0, len(trace) - n + 1, n):
        tops, rates = plain[start : start + n], triangle[start : start + n]
        assert max(rates) == tops[0] == rates[(n + 1) // 2 - 1]
        assert all(tops[0] == top for top in tops)
        peak = rates.index(max(rates))
        assert all(a <= b for a, b in pairwise(rates[: peak + 1]))
        assert all(a >= b for a, b in pairwise(rates[peak:]))


def test_a_run_by_hand() -> None:
    # Cycle 1 brings 2.0 nats, cycle 2 (2.01 - 2.0) / 2.01 = 0.5 %; the deficit falls from .3 to .29 nats. Cycle 3
    # brings a new best in its midst but ends no higher; cycle 4 brings 4 %.
    trace = [0.0, 1.0, 2.0, 2.0, 2.01, 2.2, 2.01, 2.05, 2.1]
    decisions = simulate(Wang2024(cycle=2), trace, reference=2.3, bounds=BOUNDS)
    second = 0.05 * 0.29 / 0.3
    expected = [0.05, 0.05, 0.05, 0.05, second, second, second / 2, second / 2, second / 2]
    assert [decision.lr for decision in decisions] == pytest.approx(expected)
    words = ["start", "held", "held", "held", "cycle", "held", "cycle", "held", "held"]
    assert [re.split(r"\W", decision.reason)[0] for decision in decisions] == words
    phases = ["decay" if word == "cycle" else "hold" for word in words]
    assert [decision.phase for decision in decisions] == phases
    assert decisions[4].reason == (
        "cycle 2 brought little information (r = +0.005 < 0.01): attenuated by 0.967"
    )
    assert decisions[8].reason == "held: cycle 4 brought information (r = +0.043, epsilon = 0.01)"


def test_a_loss_of_information_leaves_the_rate_alone() -> None:
    decision = simulate(Wang2024(cycle=1), [1.0, 2.0, 0.9], reference=2.3, bounds=BOUNDS)[-1]
    assert (decision.lr, decision.phase) == (0.05, "hold")
    assert decision.reason.startswith("held: ")
    assert decision.reason.endswith("but no less is left to learn")


def test_with_nothing_left_to_learn_it_halves_down_to_the_floor() -> None:
    decisions = simulate(Wang2024(cycle=1), [2.4] * 12, reference=2.3, bounds=BOUNDS)
    assert [d.lr for d in decisions] == pytest.approx([max(0.05 / 2**i, 1e-4) for i in range(12)])
    assert [d.phase for d in decisions] == ["hold"] + ["decay"] * 11
    assert all("at the floor" in d.reason for d in decisions[-3:])


def test_a_triangle_by_hand() -> None:
    bounds = Bounds(0.1, 0.7)
    decisions = simulate(Wang2024(cycle=3, triangle=True), [2.4] * 7, reference=2.3, bounds=bounds)
    assert [d.lr for d in decisions] == pytest.approx([0.4, 0.7, 0.4, 0.225, 0.35, 0.225, (0.1 + 0.175) / 2])
    assert [d.phase for d in decisions] == ["hold"] * 3 + ["decay"] + ["hold"] * 2 + ["decay"]
    assert ["attenuated" in d.reason for d in decisions] == [d.phase == "decay" for d in decisions]
    assert ["; start with" in d.reason for d in decisions] == [True] + [False] * 6
    assert decisions[4].reason == "epoch 2 of 3 in cycle 2, a triangle up to 0.35"


def test_refuses_a_cycle_without_epochs() -> None:
    with pytest.raises(ValueError) as error:
        Wang2024(cycle=0)
    assert str(error.value) == "cycle must be at least 1 epoch, got 0"
