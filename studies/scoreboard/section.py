"""The section of the results page, and the tables of the page "How good is it?"."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence

from infopace.lab.compare import FIRST_TUNING_SEED
from infopace.lab.config import DEFAULT
from infopace.lab.scoreboard import (
    Board,
    Contestant,
    Suite,
    cost_table,
    draw_curves,
    draw_profiles,
    final_table,
    find_suite,
    price_table,
    score_table,
    target_table,
)
from studies.shared.page import ROOT, read, section, table

NAME = "scoreboard"
# The pages with tables of the scoreboard between marks.
PAGES = ("README.md", "docs/how-good-is-it.md")
_MARKED = re.compile(r"(<!-- scoreboard: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
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
    without = _without_tests()
    price = "Of that, the range test, and the run after it. The area is that where range tests do not count:"
    parts += [price, price_table(board, without)]
    parts += ["The same with targets relaxed by 5 %:", cost_table(board, 0.05), final, final_table(board)]
    paragraphs = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return section(
        "Methods without tuning", "`infopace compare --suite tuning-free`", "\n\n".join(paragraphs)
    )


def seeds_in_words(board: Board) -> str:
    """How many seeds the numbers rest on."""
    several = ", the second and later ones for the best three rates" if len(board.tuning_seeds) > 1 else ""
    missing = f" Not run yet: {', '.join(_not_run())}." if _not_run() else ""
    rates = {(row["method"], row["lr"]) for row in read(NAME) if row["seed"] >= FIRST_TUNING_SEED}
    tried = len(rates) // len(board.suite.tuned)
    return (
        f"Seeds of each method: {len(board.seeds)}. Seeds that tuned the baselines: {len(board.tuning_seeds)}{several}."
        f" Learning rates tried: {tried} each."
        f"{missing}"
    )


def with_tables(page: str) -> str:
    """A page with the tables of the scoreboard between its marks: <!-- scoreboard: NAME --> and <!-- end -->."""
    return _MARKED.sub(lambda match: f"{match[1]}{_TABLES[match[2]]()}\n{match[3]}", page)


def update_pages() -> None:
    """Put the tables on every page that has marks for them, and draw the pictures."""
    for name in PAGES:
        path = ROOT / name
        path.write_text(with_tables(path.read_text()))
    board, images = scoreboard(), ROOT / "docs" / "images"
    draw_profiles(board, images / "scoreboard-profiles.png")
    draw_curves(board, images / "scoreboard-curves.png", _best_of_ours(board))


def _summary() -> str:
    """The tuned baseline, infopace over each optimizer, and the best of the other methods."""
    board = scoreboard()
    tuned = max(board.suite.tuned, key=lambda contestant: board.areas()[contestant.name])
    other = next(contestant for contestant in board.ranked() if not contestant.paced and not contestant.grid)
    head = ["method", "area", "area, target relaxed by 5 %", "targets reached"]
    return table(head, [[one.name, *_scores(board, one)] for one in (tuned, *_ours(board), other)])


def _scores(board: Board, contestant: Contestant) -> list[str]:
    costs = [board.cost(member, contestant) for member in board.members]
    reached = sum(cost is not None and math.isfinite(cost) for cost in costs)
    areas = [f"{board.areas(share)[contestant.name]:.2f}" for share in (0.0, 0.05)]
    return [*areas, f"{reached} of {len(board.members)}"]


def _ranking() -> str:
    """A row for each method."""
    board = scoreboard()
    head = ["method", "area", "area, target relaxed by 5 %", "targets reached"]
    return table(head, [[contestant.name, *_scores(board, contestant)] for contestant in board.ranked()])


def _ends() -> str:
    """A row for each workload: the ends of the better tuned baseline and of infopace."""
    board = scoreboard()
    ours = _ours(board)
    head = ["workload", "better tuned baseline, test", *(f"{contestant.name}, test" for contestant in ours)]
    rows = []
    for member in board.members:
        best, finals, metric = board.best_tuned(member), board.finals(member), board.metric(member)
        assert best is not None, "the members have targets"
        row = [member.name, f"{metric.show(finals[best[0].name].mean or 0.0)}, {best[0].name}"]
        for contestant in ours:
            mean = finals[contestant.name].mean
            row.append("no answer" if mean is None else metric.show(mean))
        rows.append(row)
    return table(head, rows)


def _ours(board: Board) -> list[Contestant]:
    """The default rule, over each optimizer."""
    return [contestant for contestant in board.suite.contestants if contestant.method == DEFAULT]


def _best_of_ours(board: Board) -> Contestant:
    """That with the largest area."""
    areas = board.areas()
    return max(_ours(board), key=lambda contestant: areas[contestant.name])


_TABLES: dict[str, Callable[[], str]] = {
    "summary": _summary,
    "ranking": _ranking,
    "ends": _ends,
    "seeds": lambda: seeds_in_words(scoreboard()),
}


@functools.cache
def _without_tests() -> Board:
    board = scoreboard()
    return Board(board.suite, board.seeds, board.tuning_seeds, read(NAME), tests=False)


@functools.cache
def scoreboard() -> Board:
    """The scores of the rows that there are: of the methods that were run on every workload, with the seeds of all."""
    rows, suite = read(NAME), find_suite("tuning-free")
    keys = {(row["workload"], row["method"], row["seed"]) for row in rows}
    tuning = [seed for seed in range(1000, 1000 + _TUNING_SEEDS) if _ran(keys, suite, suite.tuned, seed)]
    first = Board(suite, [0], tuning, rows)
    run = [contestant for contestant in suite.contestants if _whole(first, contestant, 0)]
    suite = suite.of_methods(tuple(contestant.name for contestant in run))
    begun = sorted({row["seed"] for row in rows if row["seed"] < FIRST_TUNING_SEED})
    everyone = (*suite.contestants, *suite.tuned)
    seeds = [
        seed
        for seed in begun
        if all(_whole(Board(suite, [seed], tuning, rows), one, seed) for one in everyone)
    ]
    return Board(suite, seeds, tuning, rows)


def _not_run() -> list[str]:
    """The methods that were not run on every workload."""
    run = {contestant.name for contestant in scoreboard().suite.contestants}
    return [
        contestant.name for contestant in find_suite("tuning-free").contestants if contestant.name not in run
    ]


def _ran(keys: set[tuple[str, str, int]], suite: Suite, methods: Sequence[Contestant], seed: int) -> bool:
    """Whether these methods were run with this seed on every workload."""
    return all((member.spec, one.name, seed) in keys for member in suite.members for one in methods)


def _whole(board: Board, contestant: Contestant, seed: int) -> bool:
    return all(board.curve(member, contestant, seed) is not None for member in board.suite.members)
