"""Algorithm 2 on tables small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from infopace import Bounds
from infopace.range_test import Algorithm2
from infopace.range_test._algorithm2 import paper_bounds, paper_grid, paper_trial
from infopace.range_test._records import Candidate, Trial
from infopace.range_test._result import RangeTest, RangeTestError

from .fakes import FakeTrainee, candidate, evaluation

START = evaluation(0, 2.3, 0.10, 0.5)
# lr: loss, accuracy, nats after training. By hand, C1 = 10: MAXVAL = .90 at .1, Thresh = .09.
#   d1n = .01 .05 .30 .80 .70 .40 -> LR_min = .01;  dnn above .1: .10, .40, both >= .09 -> LR_max = .2
CURVES = {
    0.001: (2.29, 0.11, 0.5),
    0.003: (2.20, 0.15, 0.6),
    0.01: (1.50, 0.40, 1.0),
    0.1: (0.30, 0.90, 2.0),
    0.2: (0.40, 0.80, 1.9),
    0.5: (1.00, 0.50, 1.2),
}


def trial(
    changes: dict[float, tuple[float, float, float]] | None = None,
    *,
    number: int = 0,
    crash: float | None = 1.0,
) -> Trial:
    curves = {**CURVES, **(changes or {})}
    done = [candidate(lr, START, evaluation(50, *values)) for lr, values in curves.items()]
    if crash is not None:
        done.append(candidate(crash, START, evaluation(50, 9.0, 0.1, 0.0), crash="blown up"))
    return Trial(number, tuple(done))


def test_the_bounds_by_accuracy() -> None:
    found = paper_bounds([trial()], "accuracy", c1=10.0, c2=1.0)
    assert (found.lr_min, found.lr_top, found.lr_max) == (0.01, 0.1, 0.2)
    # min(ds) of each rate, one epoch: (I1 - I0) / I1 = 0, 1/6, 1/2, 3/4, 14/19, 7/12: the median is (1/2 + 7/12) / 2.
    assert found.epsilon == pytest.approx((1 / 2 + 7 / 12) / 2)
    assert paper_bounds([trial()], "accuracy", c1=10.0, c2=0.01).epsilon == pytest.approx(found.epsilon / 100)


def test_information_that_stands_still_leaves_the_default_epsilon() -> None:
    still = {lr: (loss, accuracy, START.information["output"]) for lr, (loss, accuracy, _) in CURVES.items()}
    assert paper_bounds([trial(still)], "accuracy", c1=10.0, c2=1.0).epsilon == Bounds(0.1, 0.2).epsilon


def test_the_other_attributes() -> None:
    # By the loss: fallen by .01 .10 .80 2.00 1.90 1.30; Thresh = .20 -> LR_min .01; dnn .10, .70 -> LR_max .5.
    by_loss = paper_bounds([trial()], "loss", c1=10.0, c2=1.0)
    assert (by_loss.lr_min, by_loss.lr_top, by_loss.lr_max) == (0.01, 0.1, 0.5)
    # By information: Thresh = .20; d1n 0 .1 .5 -> .01; dnn .10, .80 -> .5.
    by_information = paper_bounds([trial()], "information", c1=10.0, c2=1.0)
    assert (by_information.lr_min, by_information.lr_top, by_information.lr_max) == (0.01, 0.1, 0.5)


def test_c1_moves_the_threshold() -> None:
    # C1 = 30: Thresh = .03, so d1n = .05 is enough.
    assert paper_bounds([trial()], "accuracy", c1=30.0, c2=1.0).lr_min == 0.003


def test_without_a_fall_the_largest_completed_rate_is_the_highest() -> None:
    flat = trial({0.2: (0.3, 0.89, 2.0), 0.5: (0.3, 0.88, 2.0)})
    assert paper_bounds([flat], "accuracy", c1=10.0, c2=1.0).lr_max == 0.5
    # A fall that is made up for by a larger rate is none.
    dip = trial({0.2: (0.4, 0.70, 1.9), 0.5: (0.3, 0.88, 2.0)})
    assert paper_bounds([dip], "accuracy", c1=10.0, c2=1.0).lr_max == 0.5


def tabled(*trials: Trial) -> RangeTest:
    return RangeTest(Bounds(0.1, 0.2), {}, "accuracy", "algorithm 2", trials, (None,) * len(trials), 1)


def test_rows_are_averaged_over_the_trials_that_completed_them() -> None:
    other = trial({0.2: (0.4, 0.88, 1.9)}, number=1, crash=0.5)
    other = Trial(1, tuple(c for c in other.candidates if c.lr < 0.5 or c.crash))
    rows = {row.lr: row for row in tabled(trial(), other).table}
    assert rows[0.2].final_accuracy == pytest.approx(0.84)
    assert (rows[0.5].trials, rows[0.5].crashes) == (1, 1)
    # dnn at .2 is now .06 < .09, at .5 still .40.
    assert paper_bounds([trial(), other], "accuracy", c1=10.0, c2=1.0).lr_max == 0.5


def test_of_equal_rates_the_smaller_is_the_top() -> None:
    tie = trial({0.2: (0.3, 0.90, 2.0)})
    assert paper_bounds([tie], "accuracy", c1=10.0, c2=1.0).lr_top == 0.1


def check_refused(trials: list[Trial], kind: str, text: str) -> None:
    with pytest.raises(RangeTestError, match=text) as caught:
        paper_bounds(trials, "accuracy", c1=10.0, c2=1.0)
    assert caught.value.kind == kind


def test_refusals() -> None:
    crashed = Trial(0, (candidate(0.001, START, evaluation(50), crash="blown up"),))
    check_refused([crashed], "crashed", "every candidate crashed, the smallest at 0.001")
    idle = Trial(0, tuple(candidate(lr, START, evaluation(50, 2.3, 0.1, 0.5)) for lr in (0.1, 0.2, 0.5)))
    check_refused(
        [idle], "nothing-learned", r"no rate gained 0\.01 of accuracy \(0\.1 / C1 = 10\), at most 0"
    )
    rising = Trial(0, tuple(c for c in trial().candidates if c.lr <= 0.1))
    check_refused([rising], "narrow", r"the best rate, 0\.1, is the largest candidate of 0\.001\.\.0\.1")


def test_layers_have_bounds_of_their_own() -> None:
    def with_layer(lr: float, nats: float) -> Candidate:
        return candidate(lr, evaluation(nats=0.5, conv=1.0), evaluation(50, 0.5, 0.8, 2.0, conv=nats))

    one = Trial(0, tuple(with_layer(lr, v) for lr, v in ((0.01, 1.0), (0.1, 2.0), (0.5, 1.9), (1.0, 0.3))))
    found = paper_bounds([one], "information", c1=10.0, c2=1.0, layer="conv")
    assert (found.lr_min, found.lr_top, found.lr_max) == (0.1, 0.1, 1.0)


def test_a_trial_ends_with_the_first_crash_and_known_candidates_are_kept() -> None:
    trainee = FakeTrainee(edge=0.3, speed=0.1)
    kept: list[Candidate] = []
    rates = paper_grid(0.01, 10.0)
    done = paper_trial(trainee, 3, rates, 2, known={}, keep=kept.append)
    assert [c.lr for c in done.candidates] == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    assert [c.lr for c in done.crashed] == [0.5]
    assert trainee.trials == [3]
    assert [found.step for found in done.completed[0].evaluations] == [0, 50, 100]

    again = FakeTrainee(edge=0.3, speed=0.1)
    assert (
        paper_trial(again, 3, rates, 2, known={c.lr: c for c in kept[:4]}, keep=kept.append).crashed[0].lr
        == 0.5
    )
    assert again.started == [0.2, 0.5]


def test_chance_is_a_crash_only_where_a_smaller_rate_trained() -> None:
    trainee = FakeTrainee(edge=0.3, speed=0.1)
    alone = paper_trial(trainee, 1, (0.5,), 1, known={}, keep=lambda _: None)
    assert not alone.crashed
    smaller = paper_trial(FakeTrainee(speed=0.1), 0, (0.1,), 1, known={}, keep=lambda _: None).candidates
    retried = paper_trial(trainee, 1, (0.5,), 1, smaller=smaller, known={}, keep=lambda _: None)
    assert "level of chance" in retried.crashed[0].crash


def test_the_grid_of_the_paper() -> None:
    assert len(paper_grid()) == 16
    assert paper_grid()[:4] == (1e-5, 2e-5, 5e-5, 1e-4)
    assert paper_grid()[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        (
            {"rates": (0.1, 0.2)},
            r"rates must be at least 3 positive numbers in ascending order, got \(0.1, 0.2\)",
        ),
        ({"rates": (0.1, 0.3, 0.2)}, "ascending"),
        ({"c1": 0.0}, "c1 must be a positive number, got 0.0"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Algorithm2(**options)
