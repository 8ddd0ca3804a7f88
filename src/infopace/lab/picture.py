"""The picture of a run: learning rate, information and its reference, test metric, reasons for the changes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infopace.lab.files import write_atomically
from infopace.lab.moves import moves_of
from infopace.lab.run_folder import Row
from infopace.pictures import (
    BEST,
    Curve,
    Rates,
    Shade,
    colours_of,
    draw_information,
    draw_rates,
    new_panels,
    notable,
    reasons,
    share_time,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any  # matplotlib is slow to import, and every command would wait for it

_MOST_REASONS = 5
_HEIGHTS = (2.7, 2.3, 1.9)  # inches


def draw_run(run: dict[str, Any], rows: list[Row], path: Path) -> None:
    """Draw `rows` (as in epochs.jsonl, epoch 0 first) of the run that `run` (as in run.json) describes."""
    buffer = io.BytesIO()
    figure_of(run, rows).savefig(buffer, format="png", dpi=140)
    write_atomically(path, buffer.getvalue())


def figure_of(run: dict[str, Any], rows: list[Row]) -> Figure:
    """The picture as a figure of matplotlib."""
    layers = list(rows[0]["information"])
    colours = colours_of(layers or run["groups"])
    last = rows[-1]["epoch"]
    moves = [move for group in range(len(run["groups"])) for move in moves_of(rows, group)]
    numbered = notable(moves, _MOST_REASONS, span=last)
    figure, panels = new_panels(_HEIGHTS, _title(run, rows), reasons(moves, numbered))
    rate, information, metric = panels
    lr_min = run["bounds"]["lr_min"] if run["bounds"] else None
    finding = [(row["epoch"] - 1, row["epoch"]) for row in rows[1:] if row.get("finding")]
    shades = [Shade("trials", finding)] if finding else []
    draw_rates(rate, _rates(run, rows), moves, numbered, colours, lr_min, shades)
    if layers:
        output = [row["information"]["output"]["decoder"] for row in rows]
        decoder = None if None in output else Curve("output", [row["epoch"] for row in rows], output)
        draw_information(information, _curves(rows, layers), colours, rows[-1]["reference"], decoder)
    else:
        information.text(0.5, 0.5, "no information is measured", transform=information.transAxes, ha="center")
    _draw_metric(metric, run, rows)
    share_time(panels, last, "epoch")
    return figure


def _title(run: dict[str, Any], rows: list[Row]) -> str:
    settings, metric = run["settings"], run["metric"]
    kinds = {True: "a learning rate a layer", False: "one learning rate", None: settings["method"]}
    kind = kinds[settings.get("layer_wise")]
    final = f"{rows[-1]['test'] * metric['scale']:.4g} {metric['unit']}"
    return f"{settings['workload']}, {kind}: test {metric['name']} {final} after {rows[-1]['epoch']} epochs"


def _rates(run: dict[str, Any], rows: list[Row]) -> list[Rates]:
    """The learning rate of epoch e, from e - 1 to e, where the results of row e are."""
    at = [epoch for ends in pairwise(row["epoch"] for row in rows) for epoch in ends]
    return [
        Rates(layer, at, [row["lr"][group] for row in rows[1:] for _ in range(2)])
        for group, layer in enumerate(run["groups"])
    ]


def _curves(rows: list[Row], layers: list[str]) -> list[Curve]:
    """Information of each layer, and about held-out examples in the epochs that have them."""
    epochs = [row["epoch"] for row in rows]
    curves = []
    for layer in layers:
        found = [row["information"][layer] for row in rows]
        curves.append(
            Curve(layer, epochs, [one["nats"] for one in found], [one["std_error"] for one in found])
        )
    kept = [row for row in rows if "held_out" in row]
    for layer in kept[0]["held_out"] if kept else ():
        values = [row["held_out"][layer] for row in kept]
        curves.append(Curve(layer, [row["epoch"] for row in kept], values, held_out=True))
    return curves


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
