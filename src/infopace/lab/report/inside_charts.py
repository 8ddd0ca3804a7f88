"""From the diagnostics of a run to charts over its epochs and a table of its last epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from infopace.lab.report.charts import Axis, Chart, Entry, Number, Series
from infopace.lab.report.diagnosed import SIDES, Inside
from infopace.lab.report.markup import Markup, table
from infopace.pictures import COLOURS

_MOST_EPOCHS = 200
_AXES = {"inputs": "I(X; T + N)", "targets": "I(T; Y)"}


def inside_legend(found: Inside) -> list[Entry]:
    """An entry for each layer, one for the nulls, and one for each number of the spread."""
    names = [*found.layers, "shuffled (null)", *(name.replace("_", " ") for name in found.spread[-1])]
    return [Entry(f"d{i}", name, i % len(COLOURS), i // len(COLOURS)) for i, name in enumerate(names)]


def inside_charts(found: Inside) -> list[Chart]:
    """Information about the inputs, with the noise, and about the targets; the spread of activations."""
    entries = inside_legend(found)
    stride = math.ceil(len(found.epochs) / _MOST_EPOCHS)
    places = sorted({*range(0, len(found.epochs), stride), len(found.epochs) - 1})
    epochs = [found.epochs[place] for place in places]
    charts = [_side(found, side, entries, places, epochs) for side in SIDES]
    spread = entries[len(found.layers) + 1 :]
    series = [
        Series(
            entry.key,
            entry.label,
            [found.spread[place].get(name) for place in places],
            colour=entry.colour,
            dash=entry.dash,
        )
        for entry, name in zip(spread, found.spread[-1], strict=True)
    ]
    positive = [
        Series(s.key, s.label, [_above(y) for y in s.y], colour=s.colour, dash=s.dash) for s in series
    ]
    note = "Of the last hidden layer. Read VECA and VOVU beside the mean variance and the epoch."
    axis = Axis("spread of activations", log=True)
    charts.append(
        Chart("Spread of activations", _words(positive), epochs, _EPOCH, axis, tuple(positive), note=note)
    )
    return charts


def last_table(found: Inside) -> Markup:
    """Each layer at the last epoch: both kinds of information with their intervals and nulls."""
    head = (
        "layer",
        f"{_AXES['inputs']}, nats",
        "95 %",
        "shuffled",
        f"{_AXES['targets']}, nats",
        "95 %",
        "shuffled",
    )
    rows = []
    for layer in found.layers:
        cells: list[object] = [layer]
        for side in SIDES:
            one = found.planes[-1][layer][side]
            least = "at least " if "beyond-reach" in one["cautions"] else ""
            cells += [f"{least}{one['nats']:.2f}", _interval(one["low"], one["high"]), f"{one['null']:.2f}"]
        rows.append(cells)
    caption = (
        f"The information plane after epoch {found.epochs[-1]}, with noise N of {found.noise:g} rms(T) and {found.n:,} "
        f"examples, which show at most ln n = {found.most:.2f} nats about the inputs."
    )
    return table(head, rows, caption)


_EPOCH = Axis("epoch", digits=0)


def _side(found: Inside, side: str, entries: Sequence[Entry], places: list[int], epochs: list[int]) -> Chart:
    most = found.most if side == "inputs" else math.inf
    series: list[Series] = []
    for layer, entry in zip(found.layers, entries, strict=False):
        values = [found.planes[place][layer][side] for place in places]
        high = [
            one["high"] if one["high"] is None else max(min(one["high"], most), one["nats"]) for one in values
        ]
        series.append(
            Series(
                entry.key,
                layer,
                [one["nats"] for one in values],
                [one["low"] for one in values],
                high,
                colour=entry.colour,
                dash=entry.dash,
            )
        )
    null = entries[len(found.layers)]
    means: list[Number | None] = [
        sum(found.planes[place][layer][side]["null"] for layer in found.layers) / len(found.layers)
        for place in places
    ]
    series.append(Series(null.key, null.label, means, dotted=True, colour=null.colour, dash=null.dash))
    noise = f", noise {found.noise:g} rms(T)" if side == "inputs" else ""
    note = "Bands are 95 % intervals. Dotted: the mean over layers with shuffled examples."
    if side == "inputs":
        note += f" {found.n:,} examples show at most {most:.2f} nats."
    title = f"Information about the {side}{noise}"
    return Chart(title, _words(series), epochs, _EPOCH, Axis(_AXES[side], "nats"), tuple(series), note=note)


def _above(value: Number | None) -> Number | None:
    """A number for a logarithmic axis."""
    return value if value is not None and value > 0 else None


def _words(series: Sequence[Series]) -> str:
    parts = []
    for one in series:
        known = [value for value in one.y if value is not None]
        if known:
            parts.append(f"{one.label} from {known[0]:.3g} to {known[-1]:.3g}")
    return "; ".join(parts) + "." if parts else "No value yet."


def _interval(low: float | None, high: float | None) -> str:
    ends = ("-inf" if low is None else f"{low:.2f}", "inf" if high is None else f"{high:.2f}")
    return " to ".join(ends)
