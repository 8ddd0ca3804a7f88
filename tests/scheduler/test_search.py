"""Which rate is tried next and which is taken, on curves of information over the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from infopace.scheduler._finding import _beyond
from infopace.scheduler._search import Trial, best, chosen, next_place, raised, rate_of

N = 400
NOISE = torch.randn(N, generator=torch.Generator().manual_seed(0)).double()


def trial(place: int, nats: float) -> Trial:
    """A trial on examples that scatter by 0.2 nats: an error of 0.01."""
    if math.isinf(nats):
        return Trial(place, nats)
    return Trial(place, nats, nats + 0.2 * (NOISE - NOISE.mean()))


def searched(curve: Callable[[int], float], most: int = 40) -> list[Trial]:
    """All trials of a search that nothing limits."""
    trials: list[Trial] = []
    while (place := next_place(trials)) is not None:
        assert place not in [one.place for one in trials], "no rate is tried twice"
        trials.append(trial(place, curve(place)))
        assert len(trials) < most
    return trials


def hump(top: float, width: float = 4.0, cliff: float = math.inf) -> Callable[[int], float]:
    """Two nats at the top and less on both sides; from `cliff` places above it the network diverges."""
    return lambda place: (
        -math.inf if place >= top + cliff else 2 * math.exp(-(((place - top) / width) ** 2)) - 0.05
    )


def test_a_constant_prediction_has_learned_nothing_whatever_rounding_leaves() -> None:
    zero = torch.zeros(N, dtype=torch.float64)
    constant = Trial(0, 4e-15, zero + 4e-15)
    assert not constant.learned
    assert not constant.beats(Trial(1, 0.0, zero))
    assert not Trial(1, 0.0, zero).collapsed(constant)
    # So the search goes on in the dark, and does not climb down from rate to rate.
    tried = [constant]
    while (place := next_place(tried)) is not None and abs(place) < 12:
        tried.append(Trial(place, 4e-15, zero + 4e-15))
    assert {one.place for one in tried} == {0, 4, 8, -4}
    # A scale that was fitted leaves 1 / n nats.
    assert not Trial(0, 0.9 / N, zero + 0.9 / N).learned and Trial(0, 1.1 / N, zero + 1.1 / N).learned


@settings(deadline=None)
@given(st.floats(-12, 12), st.sampled_from((2.0, 4.0, 8.0)), st.sampled_from((1.5, 3.0, math.inf)))
def test_from_three_decades_away_it_finds_the_best_rate(top: float, width: float, cliff: float) -> None:
    curve = hump(top, width, cliff)
    trials = searched(curve)
    tried = {one.place: one.nats for one in trials}
    # The best of the whole grid, and the rates on both sides of it.
    exact = max(range(-20, 21), key=curve)
    assert curve(best(trials).place) == pytest.approx(curve(exact), abs=1e-12)
    assert {best(trials).place - 1, best(trials).place + 1} <= tried.keys()
    assert len(trials) <= 13


@settings(deadline=None)
@given(st.floats(-12, 12), st.sampled_from((2.0, 4.0, 8.0)), st.sampled_from((1.5, 3.0, math.inf)))
def test_no_rate_within_half_a_decade_above_collapses(top: float, width: float, cliff: float) -> None:
    curve = hump(top, width, cliff)
    trials = searched(curve)
    highest, found = best(trials), chosen(trials)
    # Within the error of a trial it may be said to collapse or not.
    assume(all(abs(curve(place) - highest.nats / 2) > 0.02 for place in range(-24, 25)))
    assert highest.place - 2 <= found <= highest.place

    def bears(place: int) -> bool:
        above = (one for one in range(place + 1, place + 3) if one > highest.place)
        return all(curve(one) >= highest.nats / 2 for one in above)

    assert bears(found)
    assert found == highest.place or not bears(found + 1)


def test_short_trials_end_with_the_neighbours_and_take_half_a_decade_less() -> None:
    trials: list[Trial] = []
    while (place := next_place(trials, short=True)) is not None:
        trials.append(trial(place, hump(0.0)(place)))
    assert [one.place for one in trials] == [0, 2, -2]
    assert chosen(trials, short=True) == -2 and chosen(trials) == 0
    # Where what is learned still grows steeply, nothing says that the best one is too high.
    assert chosen([trial(0, 0.5), trial(2, 1.2)], short=True) == 2
    assert chosen([trial(0, 0.5), trial(2, 1.1)], short=True) == 0
    # Over a whole decade the best rate may have been passed.
    assert chosen([trial(0, 0.5), trial(4, 5.0)], short=True) == 2
    assert chosen([trial(0, 0.5)], short=True) == 0


def test_a_collapse_must_be_significant() -> None:
    assert trial(1, 0.4).collapsed(trial(0, 1.0)) and not trial(1, 0.6).collapsed(trial(0, 1.0))
    assert trial(1, -math.inf).collapsed(trial(0, 1.0))
    # Where hardly anything is known yet, half of it is noise.
    scattered = Trial(1, 0.004, 0.004 + 0.2 * NOISE.flip(0))
    assert not scattered.collapsed(Trial(0, 0.03, 0.03 + 0.2 * NOISE))


def test_where_the_rates_above_were_not_tried_it_takes_the_best() -> None:
    assert chosen([trial(0, 0.5)]) == 0
    assert chosen([trial(0, 0.5), trial(2, 1.0), trial(6, 0.3)]) == 2
    assert chosen([trial(0, 0.5), trial(2, 1.0), trial(4, 0.3)]) == 1
    assert chosen([trial(0, 0.5), trial(2, 1.0), trial(3, 0.3)]) == 0


def test_what_a_pretrained_network_knows_does_not_hide_how_steeply_it_learns() -> None:
    known = 1.0 + 0.2 * (NOISE - NOISE.mean())

    def after(place: int, gain: float) -> Trial:
        return Trial(place, 1.0 + gain, known + gain, known)

    # From 0.02 to 0.05 nats in half a decade, so a decade is next; with less, half a decade.
    assert next_place([after(0, 0.02), after(2, 0.05)]) == 6
    assert next_place([after(0, 0.02), after(2, 0.04)]) == 4
    assert chosen([after(0, 0.02), after(2, 0.05)], short=True) == 2


def test_a_first_rate_in_the_right_place_costs_five_trials() -> None:
    assert [one.place for one in searched(hump(0.0))] == [0, 2, -2, 1, -1]


def test_where_nothing_is_learned_it_goes_both_ways_by_decades() -> None:
    flat = searched(lambda place: 0.0)
    assert [one.place for one in flat] == [0, 4, 8, -4, 12, -8, 16, -12, 20, -16, -20]
    assert not best(flat).learned
    # Where the network diverges no higher rate is tried.
    cliff = searched(lambda place: 0.0 if place < 7 else -math.inf)
    assert [one.place for one in cliff] == [0, 4, 8, -4, -8, -12, -16, -20]
    # A rate that ruins the network may leave as much as one that changes nothing.
    dead = searched(lambda place: hump(-9.0)(place) if place < -4 else 0.0)
    assert best(dead).place == -9
    # A plateau of class frequencies above the best rate is not taken for learning.
    far = searched(lambda place: 1.0 if place == 8 else -0.3 if place > 8 else 0.0)
    assert best(far).place == 8


def test_no_rate_is_further_away_than_five_decades() -> None:
    for slope in (1e-3, -1e-3):
        places = [one.place for one in searched(lambda place, slope=slope: 1 + slope * place)]
        assert max(map(abs, places)) <= 20
        assert any(abs(place) == 20 for place in places)


def test_a_trial_beats_another_only_significantly() -> None:
    assert not trial(1, 1.0).beats(trial(0, 1.0))
    # Paired: the scatter of the examples is the same in both, so hardly anything is noise.
    assert trial(1, 1.001).beats(trial(0, 1.0))
    other = Trial(0, 1.0, 1.0 + 0.2 * NOISE.flip(0))
    assert not Trial(1, 1.01, 1.01 + 0.2 * NOISE).beats(other)
    assert trial(1, 1.0).beats(trial(0, -math.inf)) and not trial(0, -math.inf).beats(trial(1, 1.0))


def test_learned_and_harmed_are_significant_too() -> None:
    # Of ten trials one is two errors above by chance. Of the one that waits none is.
    assert trial(0, 0.032).learned and not trial(0, 0.028).learned
    assert trial(0, 0.021).begins_to_learn and not trial(0, 0.018).begins_to_learn
    assert trial(0, -0.03).harmed and not trial(0, -0.01).harmed
    # A network may begin far below the frequencies, and rise.
    assert not after(-0.5, before=-0.9).harmed and after(-1.0, before=-0.9).harmed
    assert Trial(0, -math.inf).harmed and not Trial(0, -math.inf).learned


def after(nats: float, before: float) -> Trial:
    """A trial of a network that knew `before`."""
    scatter = 0.2 * (NOISE - NOISE.mean())
    return Trial(0, nats, nats + scatter, before + scatter.flip(0))


def test_what_the_untrained_network_tells_of_the_targets_is_not_learned() -> None:
    # Both are significantly more than the frequencies.
    assert trial(0, 0.04).learned and not after(0.04, before=0.05).learned
    assert not after(0.06, before=0.05).learned and after(0.1, before=0.05).learned
    # Hardly a change, of which the examples say that it is significant.
    scatter = 0.2 * (NOISE - NOISE.mean())
    same = Trial(0, 0.05, 0.05 + scatter, 0.05 - 0.9 / N + scatter)
    assert not same.learned
    # To lose what little a random network tells is no harm. To lose what a pretrained one knows is.
    assert not after(0.0, before=0.05).harmed
    assert after(0.9, before=1.0).harmed and not after(0.99, before=1.0).harmed


def test_it_waits_below_all_that_did_harm() -> None:
    nothing = [trial(0, 0.0), trial(4, 0.0)]
    assert raised(nothing) == 0
    assert [raised(nothing, place) for place in (0, 2, 18, 20)] == [1, 3, 19, 20]
    harm = [*nothing, trial(8, -1.0)]
    assert [raised(harm, place) for place in (4, 6)] == [5, 7]
    assert raised([trial(0, -1.0)]) == -2
    assert raised([trial(0, -1.0), Trial(-2, -math.inf)]) == -4


def test_places_are_a_quarter_of_a_decade_apart() -> None:
    assert rate_of(0.01, 4) == pytest.approx(0.1)
    assert rate_of(0.01, -2) == pytest.approx(0.01 / math.sqrt(10))


@pytest.mark.parametrize(
    ("nats", "wanted", "untried"),
    [
        ({0: 1.0, 2: 2.0}, 4, "higher"),
        ({0: 1.0, 2: 2.0}, None, ""),
        ({0: 1.0, 2: 2.0, 4: 1.0}, 3, ""),
        ({0: 2.0, 2: 1.0}, -2, "lower"),
        ({0: 2.0, 2: 1.0}, 4, ""),
    ],
)
def test_what_the_search_had_no_steps_left_to_try(
    nats: dict[int, float], wanted: int | None, untried: str
) -> None:
    trials = [Trial(place, value, torch.full((2,), value)) for place, value in nats.items()]
    assert _beyond(trials, wanted) == untried
