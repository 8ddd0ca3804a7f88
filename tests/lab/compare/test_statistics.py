"""Intervals and paired tests against slow, obvious references, and Holm's correction by its definition."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtr, stdtrit

from infopace.lab.compare._statistics import holm, interval, paired_p

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12))
def test_the_interval_is_students(values: list[float]) -> None:
    half = stdtrit(len(values) - 1, 0.975) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    assert interval(values) == pytest.approx((mean - half, mean + half), abs=1e-12)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=12))
def test_the_paired_test_is_students(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    differences = [a - b for a, b in pairs]
    spread = statistics.stdev(differences)
    if spread <= max(1e-9 * max(map(abs, differences)), 1e-100):
        return  # rounding decides
    t = statistics.fmean(differences) / (spread / math.sqrt(len(differences)))
    assert paired_p(ours, theirs) == pytest.approx(2 * stdtr(len(differences) - 1, -abs(t)), abs=1e-12)


def test_the_interval_covers_the_mean_in_95_of_100() -> None:
    generator = random.Random(1)
    inside = 0
    for _ in range(2000):
        found = interval([generator.gauss(0, 1) for _ in range(5)])
        assert found is not None
        inside += found[0] <= 0 <= found[1]
    assert 0.93 < inside / 2000 < 0.97


def test_the_paired_test_sees_what_an_unpaired_one_cannot() -> None:
    generator = random.Random(2)
    hard = [generator.gauss(0, 5) for _ in range(10)]
    ours = [h + 0.5 + generator.gauss(0, 0.1) for h in hard]
    theirs = [h + generator.gauss(0, 0.1) for h in hard]
    p = paired_p(ours, theirs)
    assert p is not None
    assert p < 1e-4
    assert np.asarray(stats.ttest_ind(ours, theirs))[1] > 0.5
    # By its definition: the mean difference in its standard errors.
    difference = np.subtract(ours, theirs)
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(10))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert paired_p(theirs, ours) == pytest.approx(p)


def test_differences_without_spread() -> None:
    assert paired_p([1.0, 2.0], [1.0, 2.0]) == 1
    assert paired_p([1.0, 2.0], [0.5, 1.5]) == 0
    assert paired_p([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]) == 0  # the same differences but for rounding
    assert paired_p([1.0], [0.5]) is None
    assert interval([1.0]) is None


def slow_holm(p_values: list[float]) -> list[float]:
    """The smallest level at which the step-down procedure rejects each hypothesis: no formula, only the procedure."""
    levels = sorted({0.0, 1.0, *(min(1.0, p * k) for p in p_values for k in range(1, len(p_values) + 1))})

    def rejected(alpha: float) -> set[int]:
        order = sorted(range(len(p_values)), key=lambda i: p_values[i])
        held = itertools.takewhile(
            lambda rank: p_values[order[rank]] <= alpha / (len(p_values) - rank) + 1e-15, range(len(order))
        )
        return {order[rank] for rank in held}

    return [next((a for a in levels if i in rejected(a)), 1.0) for i in range(len(p_values))]


@given(P_VALUES)
def test_holm_is_the_step_down_procedure(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(slow_holm(p_values), abs=1e-9)


@given(P_VALUES, st.randoms())
def test_holm_knows_no_order_and_passes_over_what_was_not_tested(
    p_values: list[float], shuffler: random.Random
) -> None:
    order = list(range(len(p_values)))
    shuffler.shuffle(order)
    found = holm([p_values[i] for i in order])
    expected = holm(p_values)
    assert found == [expected[i] for i in order]
    assert holm([None, *p_values]) == [None, *expected]
