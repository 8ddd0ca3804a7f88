"""The pictures of a scoreboard: performance profiles, and the curves of each workload."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infopace.lab.files import write_atomically
from infopace.lab.scoreboard._board import Board
from infopace.lab.scoreboard._score import MOST, RELAXED, profile
from infopace.lab.scoreboard._suite import LIMIT, Contestant, Member
from infopace.pictures import COLOURS, GREY, GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any  # matplotlib is slow to import, and every command would wait for it

_COLUMNS = 2


def draw_profiles(board: Board, path: Path) -> None:
    """Profiles at the target, with the area of each method; beside it the area at easier targets."""
    methods = board.ranked()
    figure = _figure(12.0, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    ratios, areas = board.profiles(), [board.areas(share) for share in RELAXED]
    taus = np.unique([1.0, MOST, *(ratio for own in ratios.values() for ratio in own if ratio <= MOST)])
    styles = _styles(board, methods)
    for contestant in reversed(methods):
        style = styles[contestant]
        shares = [profile(ratios[contestant.name], tau) for tau in taus]
        label = f"{areas[0][contestant.name]:.2f}  {contestant.name}"
        left.step(taus, shares, where="post", label=label, **style)
        right.plot(
            [100 * share for share in RELAXED],
            [found[contestant.name] for found in areas],
            marker="o",
            markersize=3.5,
            **style,
        )
    left.set_xlabel("cost over the least cost of all methods")
    left.set_ylabel("share of workloads whose target is reached")
    left.set_xlim(1.0, MOST)
    left.set_ylim(-0.02, 1.02)
    right.set_xlabel("target relaxed by, %")
    right.set_ylabel("area under the profile")
    right.set_ylim(-0.02, 1.02)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", fontsize=8, title="area, method")
    _tidy(left, right)
    _write(figure, path)


def draw_curves(board: Board, path: Path, ours: Contestant | None) -> None:
    """On each workload: the validation metric by cost, of ours, the best method without tuning and the best tuned."""
    lines = -(-len(board.members) // _COLUMNS)
    figure = _figure(11.0, 2.7 * lines)
    grid = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for axes, member in zip(grid, board.members, strict=False):
        _draw_member(axes, board, member, ours)
    for axes in grid[len(board.members) :]:
        axes.set_axis_off()
    _tidy(*grid)
    _write(figure, path)


def _draw_member(axes: Axes, board: Board, member: Member, ours: Contestant | None) -> None:
    best = board.best_tuned(member)
    assert best is not None, "the members have targets"
    scale = board.metric(member).scale
    others = [contestant for contestant in board.suite.contestants if not contestant.paced]
    costs = {contestant: board.cost(member, contestant) for contestant in others}
    first = min((c for c in others if costs[c] is not None), key=lambda c: costs[c] or 0.0, default=None)
    shown = [(best[0], GREY, "tuned"), (first, COLOURS[2], "best untuned"), (ours, COLOURS[0], "infopace")]
    drawn = [best[1] * scale]
    for contestant, colour, kind in shown:
        if contestant is None:
            continue
        curves = [curve for curve in board.curves(member, contestant) if curve.validation]
        for number, curve in enumerate(curves):
            label = f"{kind}: {contestant.name}" if number == 0 else None
            values = [value * scale for value in curve.validation]
            drawn += values[len(values) // 4 :]
            axes.plot(curve.costs, values, color=colour, linewidth=1.0, alpha=0.75, label=label)
    axes.axhline(best[1] * scale, color="black", linewidth=0.8, linestyle=":")
    axes.set_title(f"{member.name}, {board.metric(member).name} {board.metric(member).unit}", fontsize=9)
    axes.set_xlim(0.0, 2.5)
    axes.axvline(LIMIT, color=GRID, linewidth=1.0)
    spread = max(drawn) - min(drawn) or 1.0
    axes.set_ylim(min(drawn) - 0.05 * spread, max(drawn) + 0.05 * spread)
    axes.set_xlabel("cost, budgets", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=6.5, frameon=False)


def _styles(board: Board, methods: Sequence[Contestant]) -> dict[Contestant, dict[str, Any]]:
    """Wide lines for paced methods. The others have the colours that are left, the largest area first, or are grey."""
    paced = [contestant for contestant in methods if contestant.paced]
    others = [c for c in methods if not c.paced and c not in board.suite.tuned]
    coloured = [*paced, *others][: len(COLOURS) - 1]
    styles: dict[Contestant, dict[str, Any]] = {
        c: {"color": GREY, "linewidth": 0.8, "alpha": 0.8} for c in others
    }
    styles |= {
        contestant: {"color": colour, "linewidth": 2.6 if contestant.paced else 1.4}
        for contestant, colour in zip(coloured, COLOURS, strict=False)
    }
    tuned = ((0, (1, 1)), (0, (4, 2)))
    styles |= {
        contestant: {"color": "black", "linestyle": tuned[place % len(tuned)], "linewidth": 1.3}
        for place, contestant in enumerate(board.suite.tuned)
    }
    return styles


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _tidy(*every: Axes) -> None:
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def _write(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())
