"""The section of the results page, and the tables of the page "How good is it?"."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from infopace.lab.scoreboard import (
    Board,
    Contestant,
    Suite,
    cost_table,
    final_table,
    find_suite,
    price_table,
    score_table,
    target_table,
)
from studies.shared.page import read, section

NAME = "scoreboard"
_TUNING_SEEDS = 3


def text() -> str:
    """The section of the results page."""
    board = scoreboard()
    intro = (
        "Each method has one configuration for all workloads. The target of a workload is the median final validation "
        "value of the better of two tuned baselines. A method has 1.5 times the budget to reach it, and everything "
        "counts: range tests, rolled-back steps, and measuring by its share of the time. The area is that under the "
        "performance profile, from 1 to 4 times the least cost. " + seeds_in_words(board)
    )
    final = (
        "The final test value, with its 95 % interval where there are several seeds, and in brackets p of the paired "
        "t-test against the better tuned baseline, with Holm's correction:"
    )
    parts = [intro, score_table(board), target_table(board)]
    parts += ["The median cost to reach the target, in budgets:", cost_table(board)]
    without = Board(board.suite, board.seeds, board.tuning_seeds, read(NAME), tests=False)
    price = "Of that, the range test, and the run after it. The area is that where range tests do not count:"
    parts += [price, price_table(board, without)]
    parts += ["The same with targets relaxed by 5 %:", cost_table(board, 0.05), final, final_table(board)]
    paragraphs = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return section(
        "Methods without tuning", "`infopace compare --suite tuning-free`", "\n\n".join(paragraphs)
    )


def seeds_in_words(board: Board) -> str:
    """How many seeds the numbers rest on."""
    return (
        f"Seeds of each method: {len(board.seeds)}. Seeds that tuned the baselines: {len(board.tuning_seeds)}, the "
        "second and later ones for the best three rates."
    )


@functools.cache
def scoreboard() -> Board:
    """The scores of the rows that there are: of the seeds with which every method was run on every workload."""
    rows, suite = read(NAME), find_suite("tuning-free")
    there = {(row["workload"], row["method"], row["lr"], row["seed"]) for row in rows}
    tuning = [seed for seed in range(1000, 1000 + _TUNING_SEEDS) if _tuned_with(there, suite, seed)]
    begun = sorted({row["seed"] for row in rows if row["seed"] < 1000})
    seeds = [seed for seed in begun if _complete(Board(suite, [seed], tuning, rows), suite.contestants, seed)]
    return Board(suite, seeds, tuning, rows)


def _tuned_with(there: set[tuple[str, str, float | None, int]], suite: Suite, seed: int) -> bool:
    """Whether there are tuning runs with this seed on every workload."""
    return all(
        any(key[0] == member.spec and key[1] == contestant.name and key[3] == seed for key in there)
        for member in suite.members
        for contestant in suite.tuned
    )


def _complete(board: Board, contestants: Sequence[Contestant], seed: int) -> bool:
    return all(
        board.curve(member, contestant, seed) is not None
        for member in board.suite.members
        for contestant in (*contestants, *board.suite.tuned)
    )
