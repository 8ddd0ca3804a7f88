"""The tables of a scoreboard as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from infopace.lab.compare import p_text
from infopace.lab.scoreboard._board import Board
from infopace.lab.scoreboard._score import RELAXED
from infopace.lab.scoreboard._suite import Contestant, Member


def score_table(board: Board) -> list[str]:
    """A row for each method, the largest area first: areas at each target, workloads reached, time for measuring."""
    areas = {share: board.areas(share) for share in RELAXED}
    heads = [f"area, target relaxed by {share:.0%}" if share else "area" for share in RELAXED]
    rows = [["method", *heads, "reached", "time for measuring"]]
    for contestant in board.ranked():
        costs = [board.cost(member, contestant) for member in board.members]
        reached = sum(cost is not None and math.isfinite(cost) for cost in costs)
        shares = [curve.measuring for member in board.members for curve in board.curves(member, contestant)]
        rows.append(
            [
                contestant.name,
                *(f"{areas[share].get(contestant.name, math.nan):.3f}" for share in RELAXED),
                f"{reached} of {len(board.members)}",
                f"{fmean(shares):.1%}" if contestant.paced and shares else "",
            ]
        )
    return markdown(rows)


def cost_table(board: Board, share: float = 0.0) -> list[str]:
    """A row for each method: the median cost to reach each workload's target, in budgets."""
    head = ["method", *(member.name for member in board.members)]
    rows = [
        [contestant.name, *(_cost(board, member, contestant, share) for member in board.members)]
        for contestant in board.ranked()
    ]
    return markdown([head, *rows])


def _cost(board: Board, member: Member, contestant: Contestant, share: float) -> str:
    cost = board.cost(member, contestant, share)
    return "not run" if cost is None else "never" if math.isinf(cost) else f"{cost:.2f}"


def price_table(board: Board, without: Board) -> list[str]:
    """A row for each paced method: on each workload the cost of the range test, and that of the run to the target.

    `without` has the scores of the same rows in which range tests do not count; its areas are in the last column.
    """
    areas = without.areas()
    head = ["method", *(member.name for member in board.members), "area without range tests"]
    rows = [
        [
            contestant.name,
            *(_price(board, without, member, contestant) for member in board.members),
            f"{areas[contestant.name]:.3f}",
        ]
        for contestant in board.ranked()
        if contestant.wants_test
    ]
    return markdown([head, *rows])


def _price(board: Board, without: Board, member: Member, contestant: Contestant) -> str:
    curves = [curve for curve in board.curves(member, contestant) if curve.costs]
    if not curves:
        return "no answer" if board.curves(member, contestant) else "not run"
    return f"{fmean(curve.before for curve in curves):.2f} + {_cost(without, member, contestant, 0.0)}"


def target_table(board: Board) -> list[str]:
    """A row for each workload: the target, the baseline and the learning rate that set it, both tuned rates."""
    rows = [["workload", "epochs", "target (validation)", "set by", *(c.name for c in board.suite.tuned)]]
    for member in board.members:
        best = board.best_tuned(member)
        assert best is not None, "the members have targets"
        rates = [board.rate(member, contestant) for contestant in board.suite.tuned]
        rows.append(
            [
                member.name,
                str(member.epochs),
                board.metric(member).show(best[1]),
                best[0].name,
                *("" if rate is None else f"{rate:g}" for rate in rates),
            ]
        )
    return markdown(rows)


def final_table(board: Board) -> list[str]:
    """A row for each method: mean final test value on each workload, its interval, and p against the best tuned."""
    finals = {member: board.finals(member) for member in board.members}
    heads = [f"{member.name}, {board.metric(member).unit or board.metric(member).name}" for member in finals]
    rows = [["method", *heads]]
    for contestant in board.ranked():
        cells = []
        for member, found in finals.items():
            final, metric = found[contestant.name], board.metric(member)
            if final.mean is None:
                cells.append("failed" if final.failure else "not run")
                continue
            half = ""
            if final.interval is not None:
                half = f" ± {metric.show((final.interval[1] - final.interval[0]) / 2)}"
            p = f" ({p_text(final.p)})" if final.p is not None else ""
            text = (
                f"{metric.show(final.mean)}{half}".replace(f" {metric.unit}", "")
                if metric.unit
                else (f"{metric.show(final.mean)}{half}")
            )
            cells.append(f"{text}{p}")
        rows.append([contestant.name, *cells])
    return markdown(rows)


def failures(board: Board) -> list[str]:
    """A line for each method and workload of which a run failed: the reason."""
    lines = []
    for member in board.members:
        for name, final in board.finals(member).items():
            if final.failure:
                lines.append(f"{name} on {member.name}: {final.failure}")
    return lines


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    return [f"| {text[0]} |", f"|{rule}|", *(f"| {row} |" for row in text[1:])]
