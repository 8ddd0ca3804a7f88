"""The policy of Vasudevan 2020 against a literal, stateful transcription of its Algorithm 1."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace import Decision, Vasudevan2020
from infopace.policies import simulate

from .every import BOUNDS, REFERENCE, traces

policies = st.builds(
    Vasudevan2020,
    epochs=st.integers(1, 60),
    decay=st.sampled_from(["linear", "printed", "none"]),
    saturation=st.sampled_from(["absolute", "signed"]),
    first_lr=st.sampled_from(["top", "information"]),
)


def algorithm_1(policy: Vasudevan2020, trace: list[float]) -> list[float]:
    """The algorithm as printed: a loop over epochs that changes one variable."""
    rates, lr = [], math.nan
    for e in range(1, len(trace) + 1):
        known = trace[:e]
        dp = min(max(1 - max(known) / REFERENCE, 0), 1)
        if e == 1 and policy.first_lr == "top":
            lr = BOUNDS.lr_top
        elif e == 1:
            lr = max(min(max(known[0] / REFERENCE, 0), 1) * BOUNDS.lr_max, BOUNDS.lr_min)
        elif e == 2:
            lr = max(dp * BOUNDS.lr_max, BOUNDS.lr_min)
        else:
            ds = (known[-1] - known[-2]) / known[-1] if known[-1] > 0 else 1.0
            if (ds if policy.saturation == "signed" else abs(ds)) < BOUNDS.epsilon:
                assert policy.epochs is not None
                decay = {
                    "linear": 1 - e / policy.epochs,
                    "printed": 1 - BOUNDS.epsilon / policy.epochs,
                    "none": 1.0,
                }
                lr = max(dp * max(decay[policy.decay], 0) * BOUNDS.lr_max, BOUNDS.lr_min)
        rates.append(lr)
    return rates


@given(policy=policies, trace=traces)
def test_equals_the_literal_algorithm(policy: Vasudevan2020, trace: list[float]) -> None:
    decisions = simulate(policy, trace, reference=REFERENCE, bounds=BOUNDS)
    assert [decision.lr for decision in decisions] == pytest.approx(algorithm_1(policy, trace), rel=1e-12)


def test_a_run_by_hand() -> None:
    # Deficits after two epochs: 1 - 2.0/2.3; saturated at epoch 4 (2.3 % of it by 2.002 - 2.0), held at epoch 3.
    decisions = simulate(Vasudevan2020(epochs=10), [0.0, 1.8, 2.0, 2.002], reference=2.3, bounds=BOUNDS)
    assert [decision.phase for decision in decisions] == ["hold", "decay", "hold", "decay"]
    assert decisions[2].lr == decisions[1].lr
    assert decisions[0].reason.startswith("start at") and decisions[1].reason.startswith("first pace; ")
    assert decisions[2].reason.startswith("held: information is still moving")
    assert decisions[3].reason.startswith("information is saturated (")
    assert decisions[1].lr == pytest.approx((1 - 1.8 / 2.3) * 0.2)
    assert decisions[3].lr == pytest.approx((1 - 2.002 / 2.3) * (1 - 4 / 10) * 0.2)
    assert "|ds| = 0.001 < 0.01" in decisions[3].reason and "time decay 0.6" in decisions[3].reason


def test_signed_and_absolute_differ_on_a_loss_of_information() -> None:
    trace = [0.0, 1.8, 1.5]
    absolute, signed = (
        simulate(Vasudevan2020(epochs=10, saturation=word), trace, reference=2.3, bounds=BOUNDS)[-1]
        for word in ("absolute", "signed")
    )
    assert (absolute.phase, signed.phase) == ("hold", "decay")
    assert absolute.reason.startswith("held: ") and signed.reason.startswith("information is saturated (")


def test_more_information_than_the_reference_is_the_floor() -> None:
    decision = simulate(Vasudevan2020(epochs=10), [0.0, 2.4], reference=2.3, bounds=BOUNDS)[-1]
    assert decision == Decision(
        1e-4, "decay", "first pace; 0 of the reference still to learn: at the floor lr_min = 0.0001"
    )


def test_past_the_planned_end_it_stays_at_the_floor() -> None:
    trace = [1.0] * 15
    decisions = simulate(Vasudevan2020(epochs=10), trace, reference=2.3, bounds=BOUNDS)
    assert [decision.lr for decision in decisions[9:]] == [BOUNDS.lr_min] * 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": None}, "decay 'linear' needs the number of epochs or steps, got epochs = None"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 5, "decay": "cosine"}, "decay must be one of 'linear', 'printed', 'none', got 'cosine'"),
        ({"epochs": 5, "saturation": "abs"}, "saturation must be one of 'absolute', 'signed', got 'abs'"),
        ({"epochs": 5, "first_lr": "max"}, "first_lr must be one of 'top', 'information', got 'max'"),
    ],
)
def test_refuses_unknown_switches(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Vasudevan2020(**arguments)
    assert str(error.value) == message
