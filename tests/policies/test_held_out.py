"""Held-out information from which values were dropped leads to the decisions of all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infopace import Bounds, HoldAndDecay
from infopace.policies import HeldOut, Observed, simulate

BOUNDS = Bounds(1e-3, 0.3, 0.1, epsilon=0.01)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from((1e-3, 0.03, 0.3)),
    st.sampled_from((0.0, 0.1, 0.5)),
    st.none() | st.integers(1, 60),
    st.booleans(),
)
def test_decisions_are_those_of_the_full_history(
    seed: int, epochs: int, scatter: float, jump: float, horizon: int | None, early: bool
) -> None:
    draws = np.random.default_rng(seed)
    level = 2.0 * (1 - np.exp(-np.arange(epochs) / draws.uniform(1, 20)))
    jumps = jump * draws.integers(-2, 3, epochs) * (draws.random(epochs) < 0.2)
    trace = (level + np.cumsum(jumps)).tolist()
    everything = np.asarray(level)[:, None] + draws.normal(0, scatter, (epochs, 7))
    policy = HoldAndDecay(horizon, stop_early=early)
    full = simulate(policy, trace, reference=2.3, bounds=BOUNDS, held_out=HeldOut(everything))
    kept, found = HeldOut(everything[:1]), []
    for epoch in range(1, epochs + 1):
        kept = kept if epoch == 1 else kept.grown(everything[epoch - 1])
        # Through the arrays that a checkpoint holds, too.
        kept = HeldOut.of_parts(kept.parts())
        found.append(policy.decide(Observed(trace[:epoch], 2.3, BOUNDS, held_out=kept)))
        kept = kept.trimmed(wholly=found[-1].phase != "hold")
        assert len(kept) == epoch == len(kept.nats)
        # No more than the second half of the hold so far; where that begins anew it is a while until that is read.
        assert jump > 0 or len(kept.pointwise) <= max((epoch + 1) // 2 + 2, 7)
    assert found == full


def test_a_rise_that_was_asked_for_is_known_when_its_values_are_gone() -> None:
    values = np.random.default_rng(0).normal(size=(8, 5))
    full = HeldOut(values)
    expected = full.rise(4, 7)
    kept = full.trimmed()
    assert (kept.begin, kept.pointwise.shape, kept.nats) == (4, (4, 5), full.nats)
    assert kept.rise(4, 7) == expected and kept.knows(4, 7)
    more = kept.grown(values[0])
    assert more.rise(5, 8) == HeldOut(np.concatenate([values, values[:1]])).rise(5, 8)
    assert not more.knows(3, 8)
    with pytest.raises(ValueError, match=r"^a rise must be of epochs that are kept, from 4, got first = 3$"):
        more.rise(3, 8)
    gone = more.trimmed(wholly=True)
    assert gone.pointwise.shape == (0, 5) and len(gone) == 9
    assert gone.rise(4, 7) == expected
    assert gone.until(8).rise(4, 7) == expected and not gone.until(7).knows(4, 7)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(2, 30))
def test_the_best_epoch_is_that_of_one_standard_error(seed: int, epochs: int, n: int) -> None:
    draws = np.random.default_rng(seed)
    values = draws.normal(0, 1, n) + np.cumsum(draws.normal(0.05, 0.2, (epochs, n)), 0)
    found, best = HeldOut(values), 0
    for epoch in range(epochs):
        more = values[epoch] - values[best]
        if more.mean() > more.std(ddof=1) / np.sqrt(n):
            best = epoch
        below = values[best] - values[epoch]
        assert found.bests[epoch] == best
        assert found.falls[epoch] == pytest.approx((below.mean(), below.std(ddof=1) / np.sqrt(n)))
    # By epochs, without the values that are dropped, and through a state.
    grown = HeldOut(values[:1])
    for value in values[1:]:
        grown = HeldOut.of_parts(grown.trimmed(wholly=True).grown(value).parts())
    assert grown.bests == found.bests and np.allclose(grown.falls, found.falls)
    assert grown.until(1).bests == [0]


def test_parts_that_do_not_fit_are_refused() -> None:
    parts = HeldOut(np.zeros((3, 2))).parts()
    for change in ({"nats": np.zeros(2)}, {"rises": np.zeros(4)}, {"nats": np.zeros((3, 1))}):
        with pytest.raises(ValueError, match=r"^held-out information must have parts of shapes {'nats'"):
            HeldOut.of_parts({**parts, **change})
    with pytest.raises(ValueError, match=r"two examples or more, got shape \(0,\)"):
        HeldOut.of_parts({"nats": np.zeros(2)})
