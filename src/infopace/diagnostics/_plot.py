"""The picture of recorded diagnostics: the information plane, and curves over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from infopace.pictures import GREY, colours_of, new_figure, share_time
from infopace.pictures._figure import Axes, Figure

_WIDTH, _PLANE, _CURVES = 9.6, 4.6, 1.9  # inches
_MARKERS = "osD^vP*X<>"
_LEGEND: dict[str, Any] = {"fontsize": 8.5, "framealpha": 0.75, "edgecolor": "none", "loc": "best"}
_AXES = {"inputs": "I(X; T + N), nats", "targets": "I(T; Y), nats"}
_TITLE: dict[str, Any] = {"loc": "left", "fontsize": 9.5}
_MOST_BANDS = 7

Row = dict[str, Any]


def plot_rows(rows: Sequence[Row]) -> Figure:
    """The picture of rows that `Diagnostics` has recorded, a figure of matplotlib; see `Diagnostics.plot`.

    Args:
        rows: As `Diagnostics.rows` and `read_rows` have them.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("there must be a row to draw, got none: record an epoch first")
    with_plane = "plane" in rows[0]
    others = [name for name in rows[0] if name not in ("epoch", "plane")]
    heights = [_PLANE, _CURVES, _CURVES] * with_plane + [_CURVES] * len(others)
    figure = new_figure(figsize=(_WIDTH, sum(heights) + 0.3))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    panels = [figure.add_subplot(grid[place]) for place in range(len(heights))]
    curves = panels[1:] if with_plane else panels
    epochs = [row["epoch"] for row in rows]
    if with_plane:
        _draw_plane(panels[0], rows, epochs)
        for axes, which in zip(curves, _AXES, strict=False):
            _draw_information(axes, rows, epochs, which)
    for axes, name in zip(curves[-len(others) :] if others else [], others, strict=True):
        _draw_numbers(axes, rows, epochs, name)
    share_time(curves, max(*epochs, 1), "epoch")
    return figure


def _draw_plane(axes: Axes, rows: Sequence[Row], epochs: Sequence[float | int]) -> None:
    """Each layer in the plane, from epoch to epoch."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    plane = rows[-1]["plane"]
    most = math.log(plane["n"])
    scale = ScalarMappable(Normalize(min(epochs), max(max(epochs), min(epochs) + 1)), "viridis")
    axes.axvline(most, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)), label=f"ln n = {most:.2f}")
    nulls: list[tuple[float, float]] = []
    for place, layer in enumerate(plane["layers"]):
        points = [
            (row["epoch"], row["plane"]["layers"][layer]) for row in rows if layer in row["plane"]["layers"]
        ]
        x, y = ([point[which]["nats"] for _, point in points] for which in _AXES)
        axes.plot(x, y, color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
        marker = _MARKERS[place % len(_MARKERS)]
        for epoch, point in points:
            colour = scale.to_rgba(epoch)
            is_bound = "beyond-reach" in point["inputs"]["cautions"]
            axes.errorbar(
                point["inputs"]["nats"],
                point["targets"]["nats"],
                xerr=_reach(point["inputs"], most),
                yerr=_reach(point["targets"]),
                fmt=marker,
                color=colour,
                markerfacecolor="white" if is_bound else colour,
                markersize=5.0,
                elinewidth=0.7,
                zorder=2,
            )
            nulls.append((point["inputs"]["null"], point["targets"]["null"]))
        axes.plot([], [], marker, color=GREY, label=layer)
    axes.plot(
        [x for x, _ in nulls], [y for _, y in nulls], "x", color=GREY, markersize=4, label="shuffled (null)"
    )
    axes.plot([], [], "o", markerfacecolor="white", color=GREY, label="at least that")
    axes.set_xlabel(_AXES["inputs"])
    axes.set_ylabel(_AXES["targets"])
    axes.set_xlim(min(-0.03 * most, *(x for x, _ in nulls)), 1.03 * most)
    noise = f"noise N of {plane['noise']:g} rms(T), n = {plane['n']:,}"
    axes.set_title(
        f"Information plane, {noise}, 95 % intervals", loc="left", fontsize=11.5, fontweight="bold"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(**_LEGEND)
    axes.figure.colorbar(scale, ax=axes, label="epoch", pad=0.01)


def _draw_information(axes: Axes, rows: Sequence[Row], epochs: Sequence[float | int], which: str) -> None:
    layers = list(rows[-1]["plane"]["layers"])
    colours = colours_of(layers)
    for layer in layers:
        points = [row["plane"]["layers"][layer][which] for row in rows]
        nats = [point["nats"] for point in points]
        style: dict[str, Any] = {"marker": "o"} if len(rows) == 1 else {}
        axes.plot(epochs, nats, color=colours[layer], linewidth=1.5, label=layer, **style)
        if len(layers) <= _MOST_BANDS:
            most = math.log(rows[-1]["plane"]["n"]) if which == "inputs" else None
            reach = [_reach(point, most) for point in points]
            low, high = (
                [value + sign * part[side][0] for value, part in zip(nats, reach, strict=True)]
                for side, sign in ((0, -1), (1, 1))
            )
            axes.fill_between(epochs, low, high, color=colours[layer], alpha=0.15, linewidth=0)
    null = [
        sum(row["plane"]["layers"][layer][which]["null"] for layer in layers) / len(layers) for row in rows
    ]
    axes.plot(epochs, null, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)), label="shuffled (null), mean")
    noise = f" with noise {rows[-1]['plane']['noise']:g} rms(T)" if which == "inputs" else ""
    axes.set_title(f"{'About the inputs' if which == 'inputs' else 'About the targets'}{noise}", **_TITLE)
    axes.set_ylabel(_AXES[which])
    axes.legend(ncols=2 if len(layers) > 2 else 1, **_LEGEND)


def _draw_numbers(axes: Axes, rows: Sequence[Row], epochs: Sequence[float | int], name: str) -> None:
    """The numbers of one diagnostic, on a logarithmic axis where all are positive and far apart."""
    from infopace.pictures._shown import Plain  # there is a figure, so matplotlib is installed

    names = list(rows[-1][name])
    colours = colours_of(names)
    for one in names:
        values = [row[name].get(one) for row in rows]
        style: dict[str, Any] = {"marker": "o"} if len(rows) == 1 else {}
        gaps = [float("nan") if value is None else value for value in values]
        axes.plot(epochs, gaps, color=colours[one], linewidth=1.5, label=one.replace("_", " "), **style)
    shown = [value for row in rows for value in row[name].values() if value is not None]
    if shown and min(shown) > 0 and max(shown) > 10 * min(shown):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(Plain())
        axes.yaxis.set_minor_formatter(Plain())
    axes.set_title(name.replace("_", " "), **_TITLE)
    axes.legend(ncols=2 if len(names) > 2 else 1, **_LEGEND)


def _reach(point: Row, most: float | None = None) -> list[list[float]]:
    """How far the interval reaches to both sides; the high end is cut at the edge of the picture."""
    nats, low, high = point["nats"], point["low"], point["high"]
    if most is not None and high is not None:
        high = min(high, max(1.03 * most, nats))
    return [[0.0 if low is None else max(nats - low, 0.0)], [0.0 if high is None else max(high - nats, 0.0)]]
