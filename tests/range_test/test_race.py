"""The race against curves whose best rate and edge are known."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace import Bounds
from infopace.range_test import Candidate, Evaluation, Race, RangeTestError, Trial
from infopace.range_test._race_bounds import Clock, mean_bounds, trial_bounds
from infopace.range_test._race_trial import inside, race_trial, rate, rungs

from .fakes import UNTRAINED_LOSS, FakeTrainee, candidate, evaluation

HORIZON = 64


def run(
    trainee: FakeTrainee,
    known: dict[float, Candidate] | None = None,
    attribute: str = "accuracy",
    **limits: Any,
) -> tuple[Trial, list[Candidate]]:
    kept: list[Candidate] = []
    trial = race_trial(
        trainee,
        0,
        HORIZON,
        attribute,
        **{"low": 1e-6, "high": 10.0, **limits},
        rates=lambda lr: [lr],
        known=known or {},
        keep=kept.append,
    )
    return trial, kept


def bounds(trial: Trial, attribute: str = "accuracy", steps: int = 1000) -> Bounds:
    return trial_bounds(trial, attribute, steps, Clock(0.0, False))


@pytest.mark.parametrize("edge", [0.3, 0.004, 2.5])
@pytest.mark.parametrize("diverges", [True, False])
@pytest.mark.parametrize("attribute", ["accuracy", "loss", "information"])
def test_the_edge_is_found_within_a_candidate(edge: float, diverges: bool, attribute: str) -> None:
    # The same learning at every edge: speed * lr is what counts.
    trial, _ = run(FakeTrainee(edge=edge, speed=0.3 / edge, diverges=diverges), attribute=attribute)
    found = bounds(trial, attribute)
    # The loss shows the noise below the edge sooner than accuracy and information do.
    below = 10 ** (0.5 if attribute == "loss" else 0.25)
    assert edge / below <= found.lr_max <= edge * 10**0.25
    assert found.lr_min < found.lr_top < edge


def test_the_best_rate_is_the_one_with_the_smallest_loss() -> None:
    trainee = FakeTrainee()
    trial, _ = run(trainee)
    best = min(trial.completed, key=lambda c: c.last.loss).lr

    def loss(lr: float) -> float:
        return 2.3 * math.exp(-lr * HORIZON) + 0.1 * (lr / trainee.edge) ** 4

    grid = [10 ** (i / 100) for i in range(-300, -55)]
    assert abs(math.log10(best / min(grid, key=loss))) <= 0.25
    assert bounds(trial).lr_top <= best


def test_few_candidates_and_crashes_that_cost_little() -> None:
    trainee = FakeTrainee()
    trial, kept = run(trainee)
    assert len(kept) <= 10
    assert len({c.lr for c in kept}) == len(kept) == len(trial.candidates)
    assert all(c.steps <= HORIZON // 4 for c in trial.crashed)
    assert trainee.steps_taken == trial.steps <= 6 * HORIZON


def test_known_candidates_are_not_run_again() -> None:
    _, kept = run(FakeTrainee())
    trainee = FakeTrainee()
    trial, again = run(trainee, {c.lr: c for c in kept[:4]})
    assert trainee.started == [c.lr for c in kept[4:]] == [c.lr for c in again]
    assert [c.lr for c in trial.candidates] == [c.lr for c in kept]


def test_lr_min_makes_its_progress_significant_in_just_the_steps_given() -> None:
    trial, _ = run(FakeTrainee())
    few, many = bounds(trial, steps=100), bounds(trial, steps=10_000)
    assert few.lr_min == pytest.approx(100 * many.lr_min)

    def accuracy(lr: float, steps: int) -> float:
        return 1 - math.exp(-lr * steps) - 0.01 / 2.3

    # Without noise the value rises from 0.1 as soon as the exponential has fallen that far.
    assert accuracy(many.lr_min * 3, 10_000) > 0.13


def check_refusal(kind: str, call: Any, text: str) -> None:
    with pytest.raises(RangeTestError, match=text) as caught:
        call()
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)


def test_every_refusal() -> None:
    check_refusal(
        "crashed", lambda: run(FakeTrainee(edge=1e-9)), r"every candidate from 10 down to 1e-06 crashed"
    )
    trial, _ = run(FakeTrainee(edge=100.0, speed=0.005))
    check_refusal("narrow", lambda: bounds(trial), r"the largest candidate, 10, still learns .* raise `high`")
    trial, _ = run(FakeTrainee(), low=0.1)
    check_refusal(
        "narrow", lambda: bounds(trial), r"the best rate, 0\.1, is the smallest candidate; lower `low`"
    )
    trial, _ = run(FakeTrainee(speed=1e-7))
    check_refusal("nothing-learned", lambda: bounds(trial), r"trial 0 learned nothing significant")
    apart = [Bounds(1e-4, 0.5, 0.3), Bounds(1e-4, 0.5, 0.3), Bounds(1e-4, 0.02, 0.01)]
    check_refusal(
        "disagreement", lambda: mean_bounds(apart), r"the best rate of most, 0\.3, .* trial 2 fails \(0\.02\)"
    )


def test_three_trials_give_the_median_and_a_rate_that_fails_in_one_is_not_started_with() -> None:
    found = [Bounds(1e-4, 0.5, 0.2, 0.01), Bounds(3e-4, 0.4, 0.1, 0.02), Bounds(2e-4, 0.09, 0.05, 0.03)]
    mean = mean_bounds(found)
    assert mean.lr_min == pytest.approx(2e-4)
    assert mean.lr_max == pytest.approx(0.4)
    assert mean.epsilon == pytest.approx(0.02)
    assert mean.lr_top == pytest.approx(0.09)


def test_early_losses_on_the_probe_are_no_crash_while_batches_improve() -> None:
    class StaleStatistics(FakeTrainee):
        """As with batch normalisation: in evaluation mode bad at first, on batches good."""

        def evaluate(self, *, information: bool = True) -> Any:
            found = super().evaluate(information=information)
            if 0 < self.step < HORIZON and self.lr < self.edge:
                return found.__class__(**{**vars(found), "loss": 50.0})
            return found

    trial, _ = run(StaleStatistics())
    assert bounds(trial).lr_max == bounds(run(FakeTrainee())[0]).lr_max


@given(st.floats(0, 0.99), st.booleans(), st.integers(1, 200))
def test_the_clock_is_a_sum_of_momentum_steps(momentum: float, nesterov: bool, steps: int) -> None:
    velocity = distance = 0.0
    for _ in range(steps):
        velocity = momentum * velocity + 1
        distance += 1 + momentum * velocity if nesterov else velocity
    assert Clock(momentum, nesterov).distance(steps) == pytest.approx(distance)


@given(st.integers(1, 100_000))
def test_rungs_double_up_to_the_horizon(horizon: int) -> None:
    found = rungs(horizon)
    assert found[-1] == horizon
    assert all(later // 2 == earlier >= 4 for earlier, later in itertools.pairwise(found))


@given(st.floats(1e-7, 10), st.floats(1e-7, 10))
def test_the_grid_inside_a_range_is_all_of_it(one: float, other: float) -> None:
    low, high = sorted((one, other))
    first, last = inside(low, high)
    assert [i for i in range(-32, 8) if low <= rate(i) <= high] == list(range(first, last + 1))


@pytest.mark.parametrize("index", range(-28, 5))
def test_a_rate_of_the_grid_holds_itself(index: int) -> None:
    assert inside(rate(index), rate(index)) == (index, index)


def test_rates_are_four_a_decade() -> None:
    assert rate(-8) == 0.01
    assert [rate(i) for i in range(-4, 1)] == [0.1, 0.178, 0.316, 0.562, 1.0]


def test_short_runs_get_more_than_their_share_and_long_ones_keep_it() -> None:
    assert (Race().first_trials(1350), Race().first_trials(11_750)) == (5, 3)
    assert Race().horizon(1350) == 128
    horizon = Race().horizon(11_750)
    assert 3 * 7 * horizon <= 0.1 * 11_750
    assert Race(trials=2).first_trials(10) == 2
    assert Race().horizon(1_000_000) == 100_000 // 21


def test_a_limit_holds_for_short_runs_and_leaves_long_ones_alone() -> None:
    for steps in (800, 1350, 3140):
        limited = Race(most=1.5)
        assert limited.first_trials(steps) == limited.all_trials(steps) == 3
        assert limited.horizon(steps) <= 128
        assert 3 * 7 * limited.horizon(steps) <= 1.52 * steps  # about seven candidates a trial, and rounding
    assert Race(most=1.5).horizon(3140) == 128
    assert Race(most=1.5).horizon(1_000_000) == Race().horizon(1_000_000)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"most": 0.0}, r"most must be a positive number of training runs, got 0.0"),
        ({"share": 0.0}, r"share must be in \(0, 1\], got 0.0"),
        ({"low": 0.5, "high": 1.0}, "at least a decade apart, got low = 0.5 and high = 1"),
        ({"low": -1.0}, "low must be a positive number, got -1.0"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Race(**options)


def test_a_crash_in_between_does_not_count_as_the_edge() -> None:
    """Failing means this rate and all larger ones."""
    start = evaluation()
    good = {"loss": 0.1, "accuracy": 0.97, "nats": 2.2}
    trial = Trial(
        0,
        (
            candidate(0.01, start, evaluation(64, 0.5, 0.85, 1.9)),
            candidate(0.03, start, evaluation(64, **good)),
            candidate(0.1, start, evaluation(64, 3.0, 0.1, 0.0), crash="bad luck"),
            candidate(0.3, start, evaluation(64, **good)),
            candidate(1.0, start, evaluation(64, 3.0, 0.1, 0.0), crash="blown up"),
        ),
    )
    assert bounds(trial).lr_max == pytest.approx(math.sqrt(0.3))


class CollapsedAtTheTop(FakeTrainee):
    """At rates far above the edge the model collapses at once: a constant output, its loss a little below untrained."""

    def evaluate(self, *, information: bool = True) -> Evaluation:
        found = super().evaluate(information=information)
        if self.step and self.lr > 6:
            return dataclasses.replace(
                found, loss=UNTRAINED_LOSS - 1e-3, accuracy=0.1, batch_loss=UNTRAINED_LOSS - 1e-3
            )
        return found


def test_a_collapsed_model_is_no_start() -> None:
    # Seen on digits, one layer raced alone: 10 did not crash, 5.62 did, and the trial was over.
    trial, _ = run(CollapsedAtTheTop())
    assert next(c for c in trial.candidates if c.lr == 10).crash == ""
    assert bounds(trial).lr_max == pytest.approx(bounds(run(FakeTrainee())[0]).lr_max)


class NeverFails(FakeTrainee):
    """One layer alone: the others learn at their own rate whatever this one does."""

    def start(self, lrs: list[float]) -> None:
        super().start(lrs)
        self.asked, self.lr = self.lr, 0.02

    def evaluate(self, *, information: bool = True) -> Evaluation:
        found = super().evaluate(information=information)
        return dataclasses.replace(found, loss=found.loss * (1.1 if self.asked > 1 and self.step else 1))


@pytest.mark.parametrize("high", [10.0, 3.0])
def test_a_layer_that_never_fails_alone_has_bounds(high: float) -> None:
    trial, _ = run(NeverFails(), low=0.05, high=high)
    assert {c.crash for c in trial.candidates} == {""}
    found = trial_bounds(trial, "accuracy", 1000, Clock(0.0, False), one_layer=True)
    largest = max(c.lr for c in trial.candidates)
    assert found.lr_max == largest == rate(inside(0.05, high)[1])
    assert (
        found.lr_top == min(c.lr for c in trial.candidates) == 0.0562
    )  # all tie: the smallest is the safest
    check_refusal("narrow", lambda: bounds(trial), "raise `high`")  # of the shared rate it is no answer
