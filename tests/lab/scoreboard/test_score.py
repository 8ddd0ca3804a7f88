"""Scores: a slow obvious reference, the ends of the scale, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace.lab.scoreboard import area, cost_to_reach, profile, ratios
from infopace.lab.scoreboard._score import MOST, over_seeds, relaxed

COSTS = st.one_of(st.floats(0.01, 2.0), st.just(math.inf))
TABLES = st.integers(1, 6).flatmap(
    lambda n: st.dictionaries(st.sampled_from("abcd"), st.lists(COSTS, min_size=n, max_size=n), min_size=1)
)


def test_first_everywhere_scores_one_and_never_there_scores_nothing() -> None:
    found = ratios(
        {"first": [0.5, 0.9], "never": [math.inf, math.inf], "late": [1.0, 3.6]}, ["first", "never", "late"]
    )
    assert area(found["first"]) == 1.0
    assert area(found["never"]) == 0.0
    # Ratios 2 and 4: (4 - 2) / 3 and 0, their mean.
    assert area(found["late"]) == pytest.approx(1 / 3)


def test_nobody_reaches_the_target_of_a_workload() -> None:
    found = ratios({"a": [math.inf, 1.0], "reference": [0.5, 1.0]}, ["a"])
    assert area(found["a"]) == 0.5
    assert found["reference"] == [1.0, 1.0]


def test_a_reference_is_never_better_than_first() -> None:
    found = ratios({"a": [1.0], "reference": [0.2]}, ["a"])
    assert found == {"a": [1.0], "reference": [1.0]}


@settings(deadline=None, max_examples=20)
@given(TABLES)
def test_the_area_is_the_integral_of_the_profile(costs: dict[str, list[float]]) -> None:
    for own in ratios(costs, list(costs)).values():
        taus = np.linspace(1.0, MOST, 8_001)
        values = [profile(own, float(tau)) for tau in taus[:-1]]
        assert area(own) == pytest.approx(float(np.mean(values)), abs=2e-3)


@given(TABLES, st.floats(0.1, 10.0))
def test_a_unit_of_cost_changes_nothing(costs: dict[str, list[float]], unit: float) -> None:
    scaled = {name: [unit * cost for cost in own] for name, own in costs.items()}
    for name, own in ratios(costs, list(costs)).items():
        assert ratios(scaled, list(costs))[name] == pytest.approx(own)


@given(TABLES, st.data())
def test_to_be_sooner_never_costs_area(costs: dict[str, list[float]], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(costs)))
    sooner = {**costs, name: [cost / data.draw(st.floats(1.0, 4.0)) for cost in costs[name]]}
    before, after = (area(ratios(table, list(table))[name]) for table in (costs, sooner))
    assert after >= before - 1e-12


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
    st.floats(0.0, 1.0),
    st.booleans(),
    st.floats(0.1, 20.0),
)
def test_the_first_time_counts(values: list[float], target: float, higher: bool, limit: float) -> None:
    costs = [0.5 * (i + 1) for i in range(len(values))]
    there = [
        c
        for v, c in zip(values, costs, strict=True)
        if (v >= target if higher else v <= target) and c <= limit
    ]
    assert cost_to_reach(values, costs, target, higher, limit) == min(there, default=math.inf)


def test_the_median_over_seeds_counts_a_seed_that_never_was_there() -> None:
    assert over_seeds([1.0, math.inf, 0.5]) == 1.0
    assert over_seeds([1.0, math.inf, math.inf]) == math.inf
    assert over_seeds([]) == math.inf


@given(st.floats(-5.0, 5.0), st.sampled_from([0.0, 0.01, 0.1]), st.booleans())
def test_a_relaxed_target_is_easier(target: float, share: float, higher: bool) -> None:
    easier = relaxed(target, share, higher)
    assert easier <= target if higher else easier >= target
