"""The rules of Vasudevan 2018: the formula, and rates that fall and rise again."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace import Bounds, Decision
from infopace.policies import Vasudevan2018, simulate

from .every import BOUNDS, REFERENCE, all_bounds, traces

SETTLED = [0.0, 1.5, 2.0, 2.1, 2.1]  # nats; nothing moves in the last epoch


def by_the_formula(variant: str, trace: list[float], bounds: Bounds) -> list[float]:
    """Epoch by epoch, each signal spelt out."""
    rates = [bounds.lr_top]
    for e in range(2, len(trace) + 1):
        before, now = trace[e - 2], trace[e - 1]
        ds = 1.0 if now <= 0 else (now - before) / now
        share = 1.0 if abs(ds) > 1 else abs(ds)
        if variant == "B":
            dp = 1 - max(trace[i] for i in range(e)) / REFERENCE
            share = max(share, 0.0 if dp < 0 else 1.0 if dp > 1 else dp)
        rates.append((1 - share) * bounds.lr_min + share * bounds.lr_max)
    return rates


@given(variant=st.sampled_from("AB"), trace=traces, bounds=all_bounds)
def test_equals_the_formula(variant: str, trace: list[float], bounds: Bounds) -> None:
    decisions = simulate(Vasudevan2018(variant), trace, reference=REFERENCE, bounds=bounds)
    expected = by_the_formula(variant, trace, bounds)
    assert [decision.lr for decision in decisions] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("variant", "after"),
    [("A", 0.6), ("B", 0.6), ("A", 2.29)],
    ids=["A, the data change for the worse", "B, for the worse", "A, for the better"],
)
def test_falls_as_information_settles_and_rises_when_it_jumps(variant: str, after: float) -> None:
    trace = [*SETTLED, after, after]
    rates = [d.lr for d in simulate(Vasudevan2018(variant), trace, reference=REFERENCE, bounds=BOUNDS)]
    assert rates[1] > rates[2] >= rates[3] >= rates[4]
    assert rates[5] > rates[4]
    assert rates[6] < rates[5]


def test_a_settled_network_that_has_not_learned_all_keeps_a_rate_under_b_alone() -> None:
    a, b = (
        simulate(Vasudevan2018(variant), SETTLED, reference=REFERENCE, bounds=BOUNDS)[-1] for variant in "AB"
    )
    assert a == Decision(
        1e-4, "decay", "the last epoch changed information by ds = +0: at the floor lr_min = 0.0001"
    )
    assert b.lr == pytest.approx(1e-4 + (1 - 2.1 / 2.3) * (0.2 - 1e-4))
    assert b.phase == "decay"
    assert b.reason.endswith("0.087 of the reference still to learn: 0.087 of the way from lr_min to lr_max")


@given(trace=st.lists(st.floats(0.01, REFERENCE), min_size=2, max_size=40).map(sorted))
def test_b_never_rises_while_information_does(trace: list[float]) -> None:
    # (I' - I) / I' <= 1 - I / I_ref for every gain up to the reference: the deficit that it closes was larger.
    rates = [d.lr for d in simulate(Vasudevan2018("B"), trace, reference=REFERENCE, bounds=BOUNDS)]
    assert all(now <= before * (1 + 1e-12) for before, now in pairwise(rates[1:]))


@given(trace=traces)
def test_b_is_never_below_a(trace: list[float]) -> None:
    a, b = (
        simulate(Vasudevan2018(variant), trace, reference=REFERENCE, bounds=BOUNDS) for variant in ("A", "B")
    )
    assert all(first.lr <= second.lr for first, second in zip(a, b, strict=True))


def test_a_run_by_hand() -> None:
    decisions = simulate(Vasudevan2018(), [0.0, 1.0, 2.0, 1.6], reference=2.3, bounds=Bounds(0.1, 0.3))
    assert [d.lr for d in decisions] == pytest.approx([0.3, 0.3, 0.1 + 0.5 * 0.2, 0.1 + 0.25 * 0.2])
    assert [d.phase for d in decisions] == ["hold", "decay", "decay", "decay"]
    assert all(d.reason.startswith("the last epoch changed information by ds = ") for d in decisions[1:])


@pytest.mark.parametrize("now", [0.0, -0.1, 1e-320])
def test_no_information_is_still_moving(now: float) -> None:
    decision = simulate(Vasudevan2018(), [0.5, now], reference=2.3, bounds=BOUNDS)[-1]
    assert decision.lr == BOUNDS.lr_max
    assert math.isfinite(decision.lr)


def test_refuses_another_variant() -> None:
    with pytest.raises(ValueError) as error:
        Vasudevan2018(variant="C")
    assert str(error.value) == "variant must be one of 'A', 'B', got 'C'"
