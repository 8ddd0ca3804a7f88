"""The picture of a run: learning rate, information and its reference, test metric, reasons for the changes."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infopace.lab.files import write_atomically
from infopace.lab.moves import Move, moves_of, notable, thinned
from infopace.lab.palette import BEST, COLOURS, GREY, GRID, TEXT
from infopace.lab.run_folder import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any  # matplotlib is slow to import, and every command would wait for it

# The marker and its label of each phase.
_MARKERS = {"hold": ("o", "hold"), "decay": ("v", "decay"), "finished": ("X", "finished")}
_MARKER_STYLE: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.7}
_MOST_MARKERS = 40  # a parameter group; more of them hide the curve
_MOST_REASONS = 5
_REASON_WIDTH = 150  # characters a line in the list of reasons
_THIN, _STEP = 1.5, 0.6  # of several lines the first is the widest, so that each shows where they coincide


def draw_run(run: dict[str, Any], rows: list[Row], path: Path) -> None:
    """Draw `rows` (as in epochs.jsonl, epoch 0 first) of the run that `run` (as in run.json) describes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9.6, 9.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    rate, information, metric, reasons = figure.subplots(4, 1, height_ratios=(1.3, 1.1, 0.9, 0.5))
    layers = list(rows[0]["information"])
    colours = {layer: COLOURS[i % len(COLOURS)] for i, layer in enumerate(layers or run["groups"])}
    moves, numbered = _draw_rates(rate, run, rows, colours)
    if layers:
        _draw_information(information, rows, colours)
    else:
        information.text(0.5, 0.5, "no information is measured", transform=information.transAxes, ha="center")
    _draw_metric(metric, run, rows)
    last = rows[-1]["epoch"]
    for axes in (rate, information, metric):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(-0.015 * last, 1.015 * last)
    for axes in (rate, information):
        axes.tick_params(labelbottom=False)
    metric.set_xlabel("epoch")
    _list_reasons(reasons, moves, numbered)
    figure.suptitle(_title(run, rows), fontsize=12.5, fontweight="bold", x=0.012, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    write_atomically(path, buffer.getvalue())


def _title(run: dict[str, Any], rows: list[Row]) -> str:
    settings, metric = run["settings"], run["metric"]
    kinds = {True: "a learning rate a layer", False: "one learning rate", None: settings["method"]}
    kind = kinds[settings.get("layer_wise")]
    final = f"{rows[-1]['test'] * metric['scale']:.4g} {metric['unit']}"
    return f"{settings['workload']}, {kind}: test {metric['name']} {final} after {rows[-1]['epoch']} epochs"


def _draw_rates(
    axes: Axes, run: dict[str, Any], rows: list[Row], colours: dict[str, str]
) -> tuple[list[Move], list[Move]]:
    """Draw the learning rates; returns all moves, and those with a number."""
    from matplotlib.lines import Line2D

    groups = run["groups"]
    lr_min = run["bounds"]["lr_min"] if run["bounds"] else None
    epochs = [row["epoch"] for row in rows]
    moves: list[Move] = []
    for g, layer in enumerate(groups):
        lrs = [row["lr"][g] for row in rows[1:]]
        width = _THIN + _STEP * (len(groups) - 1 - g)
        # The learning rate of epoch e is drawn from e - 1 to e, where the results of row e are.
        axes.step(epochs, [*lrs, lrs[-1]], where="post", color=colours[layer], linewidth=width)
        own = moves_of(rows, g)
        moves += own
        for move in thinned(own, _MOST_MARKERS):
            marker, _ = _MARKERS[move.phase]
            axes.plot(move.at, move.lr, marker, color=colours[layer], **_MARKER_STYLE)
    floor: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (1, 2))}
    axes.set_yscale("log")
    lowest = min(min(row["lr"]) for row in rows[1:])
    if lr_min is not None:
        axes.axhline(lr_min, **floor)
        lowest = lr_min
    axes.set_ylim(lowest / 1.6, max(max(row["lr"]) for row in rows[1:]) * 2.2)
    axes.set_ylabel("learning rate")

    phases = {move.phase for move in moves}
    kinds = [shown for phase, shown in _MARKERS.items() if phase in phases]
    handles = [Line2D([], [], marker=m, color=GREY, linestyle="", label=label) for m, label in kinds]
    if lr_min is not None:
        handles.append(Line2D([], [], label="lr_min", **floor))
    if len(groups) > 1:
        handles += [Line2D([], [], color=colours[layer], linewidth=2, label=layer) for layer in groups]
    if not handles:
        return moves, []
    axes.legend(handles=handles, fontsize=8.5, frameon=False, loc="best", ncols=2 if len(groups) > 1 else 1)
    numbered = notable(moves, _MOST_REASONS, span=epochs[-1])
    for number, move in enumerate(numbered, 1):
        axes.annotate(
            str(number),
            (move.at, move.lr),
            xytext=(8, 9),
            textcoords="offset points",
            fontsize=8.5,
            fontweight="bold",
            color="white",
            ha="center",
            va="center",
            bbox={"boxstyle": "circle,pad=0.18", "facecolor": colours[move.layer], "edgecolor": "white"},
        )
    return moves, numbered


def _draw_information(axes: Axes, rows: list[Row], colours: dict[str, str]) -> None:
    epochs = [row["epoch"] for row in rows]
    reference = rows[-1]["reference"]
    if reference is not None:
        axes.axhline(
            reference, color=GREY, linewidth=1.3, linestyle="--", label=f"reference I(X;Y), {reference:.3f}"
        )
    trace = {layer: [row["information"][layer]["nats"] for row in rows] for layer in colours}
    # The last layer often is the output under another name. Then one line is enough.
    twin = next((layer for layer in colours if layer != "output" and trace[layer] == trace["output"]), None)
    drawn = [layer for layer in colours if not (layer == "output" and twin)]
    for i, layer in enumerate(drawn):
        error = [row["information"][layer]["std_error"] or 0.0 for row in rows]
        low = [n - e for n, e in zip(trace[layer], error, strict=True)]
        high = [n + e for n, e in zip(trace[layer], error, strict=True)]
        axes.fill_between(epochs, low, high, color=colours[layer], alpha=0.18, linewidth=0)
        name = f"{layer}, the output" if layer == twin else layer
        if any(error):
            name += f"{',' * (layer == twin)} ± standard error"
        width = _THIN + _STEP * (len(drawn) - 1 - i)
        axes.plot(epochs, trace[layer], color=colours[layer], linewidth=width, label=name)
    held_out = _draw_held_out(axes, rows, colours)
    decoder = [row["information"]["output"]["decoder"] for row in rows]
    if None not in decoder:
        colour = colours[twin or "output"]
        axes.plot(epochs, decoder, color=colour, linewidth=1.2, linestyle=":", label="output, decoder bound")
    # The decoder bound starts at 0 or below. The axis may cut it off, so that the layers stay distinct.
    values = [
        *(n for layer in drawn for n in trace[layer]),
        *held_out,
        *([] if reference is None else [reference]),
    ]
    margin = 0.08 * (max(values) - min(values)) or 0.1
    axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.set_ylabel("I(T;Y), nats")
    axes.legend(fontsize=8.5, frameon=False, loc="best", ncols=2 if len(drawn) > 2 else 1)


def _draw_held_out(axes: Axes, rows: list[Row], colours: dict[str, str]) -> list[float]:
    """Draw the information about held-out examples, in the epochs that have it; returns its values."""
    kept = [row for row in rows if "held_out" in row]
    drawn: list[float] = []
    for layer in kept[0]["held_out"] if kept else ():
        values = [row["held_out"][layer] for row in kept]
        label = "held out" if layer == "output" else f"{layer}, held out"
        epochs = [row["epoch"] for row in kept]
        axes.plot(epochs, values, color=colours[layer], linewidth=1.3, linestyle=(0, (4, 2)), label=label)
        drawn += values
    return drawn


def _draw_metric(axes: Axes, run: dict[str, Any], rows: list[Row]) -> None:
    metric = run["metric"]
    trained = rows[1:]
    values = [row["test"] * metric["scale"] for row in trained]
    epochs = [row["epoch"] for row in trained]
    best = values.index(max(values) if metric["higher_is_better"] else min(values))
    axes.plot(epochs, values, color="black", linewidth=1.4)
    axes.plot(epochs[best], values[best], "*", color=BEST, markersize=11, markeredgecolor="white")
    unit = metric["unit"]
    label = f"best {values[best]:.4g} {unit}, epoch {epochs[best]}"
    axes.plot([], [], "*", color=BEST, markersize=9, label=label)
    # The first epochs are far off. The axis shows how the others differ.
    settled = sorted(values[len(values) // 10 :])
    spread = settled[-1] - settled[0] or abs(settled[0]) * 0.01 or 1.0
    axes.set_ylim(settled[0] - 0.12 * spread, settled[-1] + 0.12 * spread)
    axes.set_ylabel(f"test {metric['name']}, {unit}")
    axes.legend(
        fontsize=8.5, frameon=False, loc="lower right" if metric["higher_is_better"] else "upper right"
    )


def _list_reasons(axes: Axes, moves: list[Move], numbered: list[Move]) -> None:
    axes.axis("off")
    lines = []
    for number, move in enumerate(numbered, 1):
        layers = ", ".join(m.layer for m in moves if (m.at, m.lr) == (move.at, move.lr))
        before = "" if move.before is None else f"{move.before:.3g} to "
        text = f"{number}  epoch {move.at + 1}, {layers}: {before}{move.lr:.3g}. {move.reason}"
        lines += textwrap.wrap(text, _REASON_WIDTH, subsequent_indent="    ")
    axes.text(
        0,
        1,
        "\n".join(lines),
        fontsize=8.2,
        va="top",
        color=TEXT,
        transform=axes.transAxes,
        linespacing=1.35,
    )
