"""How many trials a cheap test takes: enough that its bounds are known well enough, and no more."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from infopace import RangeTest, RangeTestError
from infopace.range_test import Race, Trial, merge_trials
from infopace.range_test._method import Settings
from infopace.range_test._race_trial import race_trial

from .fakes import FakeTrainee
from .small import small_test

# A short run: five trials or more, 24 at most.
SETTINGS = Settings(Race(), "accuracy", (), planned_steps=1000, momentum=0.0, nesterov=False)


def trials_needed(found: dict[int, Trial]) -> int:
    return SETTINGS.method.trials_needed(SETTINGS, found)


def conclude(found: dict[int, Trial]) -> RangeTest:
    return SETTINGS.method.conclude(SETTINGS, found)


def trials(*edges: float) -> dict[int, Trial]:
    """A trial with an edge at each of these rates."""
    return {number: one(edge, number) for number, edge in enumerate(edges)}


def one(edge: float, number: int) -> Trial:
    trainee = FakeTrainee(edge=edge, speed=0.3 / edge)
    found = race_trial(
        trainee,
        number,
        64,
        "accuracy",
        low=1e-6,
        high=10.0,
        rates=lambda lr: [lr],
        known={},
        keep=lambda candidate: None,
    )
    return dataclasses.replace(found, number=number)


def test_equal_trials_are_enough_and_unequal_ones_are_not() -> None:
    assert trials_needed(trials(*[0.3] * 5)) == 5
    apart = [0.3, 0.1, 0.03, 0.3, 0.1]
    assert trials_needed(trials(*apart)) == 6
    assert trials_needed(trials(*apart, *[0.1] * 3)) in (7, 8, 9)
    fixed = dataclasses.replace(SETTINGS, method=Race(trials=5))
    assert fixed.method.trials_needed(fixed, trials(*apart)) == 5


def test_never_more_than_the_most() -> None:
    apart = [0.3 if number % 2 else 0.003 for number in range(24)]
    assert trials_needed(trials(*apart)) == 24


def test_what_is_missing_is_needed_and_trials_beyond_change_nothing() -> None:
    found = trials(*[0.3] * 5)
    del found[3]
    assert trials_needed(found) == 5
    more = trials(*[0.3] * 5, 0.001)
    assert conclude(more).bounds == conclude(trials(*[0.3] * 5)).bounds
    assert len(conclude(more).trials) == 5


@pytest.mark.slow
def test_a_cheap_test_goes_on_until_it_knows(tmp_path: Path) -> None:
    found = small_test(method=Race(), folder=tmp_path / "whole")
    count = len(found.trials)
    assert 5 <= count <= 24

    def error(number: int) -> float:
        own = [bounds for bounds in found.trial_bounds[:number] if bounds is not None]
        return max(
            stdev(math.log10(value) for value in values) / math.sqrt(number - 2)
            for values in ([b.lr_top for b in own], [b.lr_max for b in own])
        )

    assert count == 24 or error(count) <= 0.06
    assert all(error(number) > 0.06 for number in range(5, count))
    # Trial by trial, as jobs do it, and merged, it is the same.
    for number in range(count):
        with_others = small_one(tmp_path / "farmed", number)
        assert (with_others is None) == (number < count - 1)
    assert merge_trials(tmp_path / "farmed").bounds == found.bounds


def small_one(folder: Path, number: int) -> Any:
    try:
        return small_test(method=Race(), folder=folder, only=[number])
    except RangeTestError as error:
        if error.kind != "unfinished":
            raise
        return None


def test_layer_by_layer_the_number_is_fixed() -> None:
    with pytest.raises(ValueError, match=r"only must hold trials in 0\.\.14, got 15"):
        small_test(method=Race(), layer_wise=True, only=[15])
