"""The scores of rows that are made up: targets, costs, rates, finals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.errors import InputError
from infopace.lab.scoreboard import Contestant, Member, Suite, find_suite
from infopace.lab.scoreboard._board import Board
from infopace.lab.scoreboard._cells import is_row
from infopace.lab.scoreboard._tables import cost_table, final_table, price_table, score_table, target_table

TUNED = Contestant("cosine-tuned", "sgd-cosine", grid=(0.1, 0.3))
PLAIN = Contestant("adam", "adam", budgets=1.5)
PACED = Contestant("infopace", "hold-and-decay", "sgd")
MEMBER = Member("digits", 4)
SUITE = Suite("made up", (MEMBER,), (PLAIN, PACED), (TUNED,))


def row(
    method: str, seed: int, values: list[float], lr: float | None = None, **fields: Any
) -> dict[str, Any]:
    """A run with ten steps an epoch; its budget is 40."""
    n = len(values)
    return {
        "workload": "digits",
        "method": method,
        "lr": lr,
        "seed": seed,
        "failure": "",
        "test": [value - 0.01 for value in values],
        "validation": values,
        "batches": [10] * n,
        "train": [1.0] * n,
        "measure": [0.0] * n,
        "inputs": {"steps": 40},
    } | fields


def tuning(lr: float, *finals: float) -> list[dict[str, Any]]:
    return [row("cosine-tuned", 1000 + i, [0.1, final], lr) for i, final in enumerate(finals)]


def board(*rows: dict[str, Any], seeds: int = 1, tuning_seeds: int = 1, **options: Any) -> Board:
    seeds_of_tuning = range(1000, 1000 + tuning_seeds)
    return Board(SUITE, range(seeds), seeds_of_tuning, rows, **options)


BEST = row("cosine-tuned", 0, [0.5, 0.6, 0.7, 0.8], 0.3)


def test_the_rate_is_chosen_over_all_tuning_seeds() -> None:
    rows = [*tuning(0.1, 0.80, 0.80), *tuning(0.3, 0.90, 0.60)]
    found = board(*rows, tuning_seeds=2)
    assert found.rate(MEMBER, TUNED) == 0.1
    assert found.finalists(MEMBER, TUNED, 1) == [0.3]
    # A rate that was not run with all seeds, or failed with one, is not chosen.
    assert board(*rows[:3], tuning_seeds=2).rate(MEMBER, TUNED) == 0.1
    failed = [*rows[:2], *tuning(0.3, 0.9), row("cosine-tuned", 1001, [], 0.3, failure="diverged")]
    assert board(*failed, tuning_seeds=2).rate(MEMBER, TUNED) == 0.1
    assert board(*tuning(0.1, 0.8), *tuning(0.3, 0.8)).rate(MEMBER, TUNED) == 0.1  # the smaller of equal ones


def test_the_tuned_baseline_reaches_its_own_target_at_the_end() -> None:
    found = board(*tuning(0.3, 0.9), BEST)
    assert found.best_tuned(MEMBER) == (TUNED, 0.8)
    assert found.cost(MEMBER, TUNED) == 1.0
    assert found.finals(MEMBER)["cosine-tuned"].p is None


def test_the_median_seed_of_the_tuned_baseline_reaches_the_target() -> None:
    ends = (0.80, 0.82, 0.79, 0.85, 0.70)
    finals = [row("cosine-tuned", i, [0.1, 0.2, 0.3, end], 0.3) for i, end in enumerate(ends)]
    found = board(*tuning(0.3, 0.9), *finals, seeds=5)
    assert found.best_tuned(MEMBER) == (TUNED, 0.80)
    assert found.cost(MEMBER, TUNED) == 1.0


def test_everything_counts() -> None:
    tested = {
        "workload": "digits", "method": "range test, sgd", "lr": None, "seed": 0, "failure": "",
        "bounds": {}, "steps": 10, "seconds": 1.5, "inputs": {"steps": 40},
    }  # fmt: skip
    paced = row("infopace", 0, [0.5, 0.8], measure=[0.5, 0.5])
    rows = [*tuning(0.3, 0.9), BEST, tested, paced]
    # 1.5 s are 15 steps of .1 s; 20 steps, with half as much time for measuring: 30.
    assert board(*rows).cost(MEMBER, PACED) == pytest.approx((15 + 30) / 40)
    assert board(*rows, clock=False).cost(MEMBER, PACED) == pytest.approx((10 + 20) / 40)
    assert board(*rows).curves(MEMBER, PACED)[0].measuring == pytest.approx(0.5)
    # On a busy machine the test waited for half of the time.
    busy = [row | {"load": 1.5} if "bounds" in row else row for row in rows]
    assert board(*busy).cost(MEMBER, PACED) == pytest.approx((10 + 30) / 40)
    without = board(*rows, tests=False)
    assert without.cost(MEMBER, PACED) == pytest.approx(30 / 40)
    # The tuned baseline needs one budget, so the paced method is first where its range test does not count.
    assert price_table(board(*rows), without)[2].replace(" ", "") == "|infopace|0.38+0.75|1.000|"


def test_a_range_test_without_an_answer_is_a_failure() -> None:
    tested = {
        "workload": "digits", "method": "range test, sgd", "lr": None, "seed": 0, "failure": "no bounds",
        "bounds": {}, "steps": 0, "seconds": 0.0, "inputs": {"steps": 40},
    }  # fmt: skip
    found = board(*tuning(0.3, 0.9), BEST, tested)
    assert found.cost(MEMBER, PACED) == math.inf
    assert found.areas()["infopace"] == 0.0
    assert found.finals(MEMBER)["infopace"].failure == "no bounds"


def test_beyond_the_limit_nothing_counts() -> None:
    late = row("adam", 0, [0.1] * 6 + [0.9])
    found = board(*tuning(0.3, 0.9), BEST, late)
    assert found.cost(MEMBER, PLAIN) == math.inf
    just = row("adam", 0, [0.1] * 5 + [0.9])
    assert board(*tuning(0.3, 0.9), BEST, just).cost(MEMBER, PLAIN) == 1.5


def test_without_a_plan_the_final_value_is_that_at_the_end_of_the_budget() -> None:
    longer = row("adam", 0, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert board(*tuning(0.3, 0.9), BEST, longer).finals(MEMBER)["adam"].values == (pytest.approx(0.39),)


def test_an_easier_target_is_never_later() -> None:
    found = board(*tuning(0.3, 0.9), BEST, row("adam", 0, [0.73, 0.77, 0.79, 0.8]))
    costs = [found.cost(MEMBER, PLAIN, share) for share in (0.0, 0.01, 0.02, 0.05, 0.1)]
    # Targets .8, .792, .784, .76 and .72.
    assert costs == [1.0, 1.0, 0.75, 0.5, 0.25]


def test_tables_say_what_is_missing() -> None:
    found = board(*tuning(0.3, 0.9), BEST)
    assert [line.split("|")[1].strip() for line in score_table(found)[2:]] == ["cosine-tuned"]
    assert "80.00 %" in target_table(found)[2]
    assert "1.00" in cost_table(found)[2]
    assert "79.00" in final_table(found)[2]
    assert board().members == ()
    summary = json.loads(json.dumps(found.summary()))
    assert summary["workloads"] == [{"name": "digits", "target": "80.00 %", "set_by": "cosine-tuned"}]
    assert summary["methods"][0]["costs"] == [1.0]


@pytest.mark.parametrize(
    "change",
    [{"seed": "0"}, {"lr": "x"}, {"test": [0.1]}, {"batches": [None] * 4}, {"inputs": 3}, {"failure": None}],
)
def test_a_row_that_no_scoreboard_writes_is_refused(change: dict[str, Any]) -> None:
    assert is_row(BEST)
    assert not is_row(BEST | change)


def test_a_quick_suite_is_every_second_workload_and_rate() -> None:
    suite = find_suite("tuning-free")
    quick = suite.quick()
    names = [member.name for member in quick.members]
    assert names == ["deep-mlp", "cifar10-vit", "movie-polarity", "california-housing", "noisy-mlp"]
    assert [len(one.grid) for one in quick.tuned] == [5, 5]
    assert quick.contestants == suite.contestants
    assert SUITE.quick().members == SUITE.members  # of one workload, that one


def test_suites_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="members must not be empty"):
        Suite("empty", (), (PLAIN,), (TUNED,))
    with pytest.raises(ValueError, match="methods must differ, got 'adam' twice"):
        Suite("twice", (MEMBER,), (PLAIN, PLAIN), (TUNED,))
    with pytest.raises(ValueError, match="a tuned baseline must have a grid, got none for 'adam'"):
        Suite("no grid", (MEMBER,), (PACED,), (PLAIN,))
    with pytest.raises(
        InputError, match=r"suite must be tuning-free, or path/to/file\.py:OBJECT, got 'quick'"
    ):
        find_suite("quick")
    with pytest.raises(
        InputError, match="must be of the suite made up, got 'lion'; the methods are: adam, infopace"
    ):
        SUITE.of_methods(("adam", "lion"))
    with pytest.raises(InputError, match=r"must be an infopace\.lab\.scoreboard\.Suite, got Workload"):
        find_suite(f"{Path(__file__).parent.with_name('own.py')}:MINE")
