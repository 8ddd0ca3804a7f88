"""The picture of a run: learning rate, information against its reference, test metric, why the LR moved."""

from __future__ import annotations

import io
import math
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from infopace.lab.files import write_atomically
from infopace.lab.moves import Move, notable, thinned
from infopace.lab.run_folder import Row

# Okabe and Ito (2008): colours that colour-blind readers tell apart, without their yellow, too pale here.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GREY = "#6b7280"
_MARKERS = {
    "start": ("D", "start"),
    "pace": ("v", "first pace: by the information still missing"),
    "saturated": ("o", "information saturated: paced again"),
    "floor": ("s", "held up by the floor"),
}
_OTHER_CAUSE = ("P", "other")
_MOST_MARKERS = 40  # a group; more of them hide the curve
_MOST_REASONS = 5
_REASON_WIDTH = 125  # characters a line of the list of reasons holds


def draw_run(run: dict[str, Any], rows: list[Row], path: Path) -> None:
    """Draw `rows` (as in epochs.jsonl, epoch 0 first) of the run that `run` (as in run.json) describes."""
    figure = Figure(figsize=(9.6, 9.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(4, 1, height_ratios=(1.3, 1.1, 0.9, 0.5))
    rate, information, metric, reasons = grid
    layers = list(rows[0]["information"])
    colours = {layer: _COLOURS[i % len(_COLOURS)] for i, layer in enumerate(layers)}
    moves = _draw_rates(rate, run, rows, colours)
    _draw_information(information, rows, colours)
    _draw_metric(metric, run, rows)
    last = rows[-1]["epoch"]
    for axes in (rate, information, metric):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(-0.015 * last, 1.015 * last)
        axes.label_outer() if axes is not metric else None
    metric.set_xlabel("epoch")
    _list_reasons(reasons, moves)
    figure.suptitle(_title(run, rows), fontsize=12.5, fontweight="bold", x=0.012, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    write_atomically(path, buffer.getvalue())


def _title(run: dict[str, Any], rows: list[Row]) -> str:
    settings, metric = run["settings"], run["metric"]
    kind = "a learning rate a layer" if settings["layer_wise"] else "one learning rate"
    final = f"{rows[-1]['test'] * metric['scale']:.4g} {metric['unit']}"
    return f"{settings['workload']}, {kind}: test {metric['name']} {final} after {rows[-1]['epoch']} epochs"


def _draw_rates(axes: Axes, run: dict[str, Any], rows: list[Row], colours: dict[str, str]) -> list[Move]:
    trained = rows[1:]
    epochs = [row["epoch"] for row in trained]
    seen: dict[str, tuple[str, str]] = {}
    everything: list[Move] = []
    for g, layer in enumerate(run["groups"]):
        lrs = [row["lr"][g] for row in trained]
        # The LR of epoch e holds from e - 1 to e on the axis, where row e is what came of it.
        axes.step(
            [e - 1 for e in epochs] + [epochs[-1]],
            [*lrs, lrs[-1]],
            where="post",
            color=colours[layer],
            linewidth=1.6,
        )
        moves = [
            Move(e - 1, before, lr, row["decisions"][g]["cause"], row["decisions"][g]["reason"], layer)
            for e, before, lr, row in zip(epochs, [None, *lrs], lrs, trained, strict=False)
            if before != lr
        ]
        everything += moves
        for move in thinned(moves, _MOST_MARKERS):
            marker, label = _MARKERS.get(move.cause, _OTHER_CAUSE)
            seen[move.cause] = (marker, label)
            axes.plot(
                move.at,
                move.lr,
                marker,
                color=colours[layer],
                markersize=5.5,
                markeredgecolor="white",
                markeredgewidth=0.7,
            )
    axes.set_yscale("log")
    axes.set_ylabel("learning rate")
    settings = run["settings"]
    axes.axhline(settings["lr_min"], color=_GREY, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_ylim(settings["lr_min"] / 1.6, max(max(row["lr"]) for row in trained) * 2.2)
    handles = [
        Line2D([], [], marker=m, color=_GREY, linestyle="", markersize=6, label=label)
        for m, label in seen.values()
    ]
    handles.append(Line2D([], [], color=_GREY, linewidth=0.9, linestyle=(0, (1, 2)), label="lr_min"))
    axes.legend(handles=handles, fontsize=8.5, frameon=False, loc="upper right")
    chosen = notable(everything, _MOST_REASONS, span=epochs[-1])
    for number, move in enumerate(chosen, 1):
        axes.annotate(
            str(number),
            (move.at, move.lr),
            xytext=(7, 8),
            textcoords="offset points",
            fontsize=8.5,
            fontweight="bold",
            color="white",
            ha="center",
            va="center",
            bbox={"boxstyle": "circle,pad=0.18", "facecolor": colours[move.layer], "edgecolor": "white"},
        )
    return chosen


def _draw_information(axes: Axes, rows: list[Row], colours: dict[str, str]) -> None:
    epochs = [row["epoch"] for row in rows]
    reference = rows[-1]["reference"]
    axes.axhline(
        reference, color=_GREY, linewidth=1.3, linestyle="--", label=f"reference I(X;Y), {reference:.3f}"
    )
    for layer, colour in colours.items():
        found = [row["information"][layer] for row in rows]
        nats = [f["nats"] for f in found]
        error = [f["std_error"] or 0.0 for f in found]
        low = [n - e for n, e in zip(nats, error, strict=True)]
        high = [n + e for n, e in zip(nats, error, strict=True)]
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(epochs, nats, color=colour, linewidth=1.6, label=f"{layer} ± standard error")
        decoder = [math.nan if f["decoder"] is None else f["decoder"] for f in found]
        if not all(math.isnan(d) for d in decoder):
            axes.plot(
                epochs, decoder, color=colour, linewidth=1.2, linestyle=":", label=f"{layer}, decoder bound"
            )
    axes.set_ylabel("I(T;Y), nats")
    axes.legend(fontsize=8.5, frameon=False, loc="lower right", ncols=2 if len(colours) > 2 else 1)


def _draw_metric(axes: Axes, run: dict[str, Any], rows: list[Row]) -> None:
    metric = run["metric"]
    trained = rows[1:]
    values = [row["test"] * metric["scale"] for row in trained]
    epochs = [row["epoch"] for row in trained]
    best = values.index(max(values) if metric["higher_is_better"] else min(values))
    axes.plot(epochs, values, color="black", linewidth=1.4)
    axes.plot(epochs[best], values[best], "*", color="#D55E00", markersize=11, markeredgecolor="white")
    unit = metric["unit"]
    label = f"best {values[best]:.4g} {unit}, epoch {epochs[best]}"
    axes.plot([], [], "*", color="#D55E00", markersize=9, label=label)
    # The first epochs are far off; what matters is how the rest differ.
    settled = sorted(values[len(values) // 10 :])
    spread = settled[-1] - settled[0] or abs(settled[0]) * 0.01 or 1.0
    axes.set_ylim(settled[0] - 0.12 * spread, settled[-1] + 0.12 * spread)
    axes.set_ylabel(f"test {metric['name']}, {unit}")
    axes.legend(
        fontsize=8.5, frameon=False, loc="lower right" if metric["higher_is_better"] else "upper right"
    )


def _list_reasons(axes: Axes, moves: list[Move]) -> None:
    axes.axis("off")
    lines = []
    for number, move in enumerate(moves, 1):
        before = "" if move.before is None else f"{move.before:.3g} to "
        text = f"{number}  epoch {move.at + 1}, {move.layer}: {before}{move.lr:.3g}. {move.reason}"
        lines += textwrap.wrap(text, _REASON_WIDTH, subsequent_indent="    ")
    axes.text(
        0,
        1,
        "\n".join(lines),
        fontsize=8.2,
        va="top",
        color="#374151",
        transform=axes.transAxes,
        linespacing=1.35,
    )
