"""What all pictures of runs show: the learning rate with its moves, and information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from infopace.pictures._figure import Axes
from infopace.pictures._moves import Move, thinned
from infopace.pictures._palette import GREY

T = TypeVar("T")
# The marker and its label of each phase.
_MARKERS = {"hold": ("o", "hold"), "decay": ("v", "decay"), "finished": ("X", "finished")}
_MARKER_STYLE: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.7}
_MOST_MARKERS, _MARKERS_TOGETHER = 40, 160  # a curve, and of all; more of them hide it
_THIN, _STEP, _WIDE = (
    1.5,
    0.6,
    5.0,
)  # of several lines the first is the widest, so that all show where they coincide
_MOST_NAMED, _FEWER_NAMED = 14, 8  # in a legend: of more curves than that only so many
_MOST_BANDS = 7  # layers; with more of them bands would hide the curves
_LEGEND: dict[str, Any] = {"fontsize": 8.5, "framealpha": 0.75, "edgecolor": "none", "loc": "best"}


@dataclass(frozen=True)
class Rates:
    """The learning rate of a parameter group, in straight lines.

    Attributes:
        layer: The layer that drives the group.
        at: Places on the time axis.
        lr: The rates there.
        label: Its name in the legend; empty: the layer's.
    """

    layer: str
    at: Sequence[float | int]
    lr: Sequence[float]
    label: str = ""


@dataclass(frozen=True)
class Curve:
    """Information of a layer, in nats, at places `at` on the time axis.

    Attributes:
        layer: The layer, "output" for the output.
        at: The places.
        nats: As many values.
        error: Their standard errors; None where one is not known. Empty: none is known.
        held_out: Whether it is about held-out examples.
    """

    layer: str
    at: Sequence[float | int]
    nats: Sequence[float]
    error: Sequence[float | int | None] = ()
    held_out: bool = False


@dataclass(frozen=True)
class Shade:
    """Parts of the time axis, each from a beginning to an end, that have something in common."""

    label: str
    spans: Sequence[tuple[float | int, float | int]]
    colour: str = GREY


def draw_rates(
    axes: Axes,
    rates: Sequence[Rates],
    moves: Sequence[Move],
    numbered: Sequence[Move],
    colours: Mapping[str, str],
    lr_min: float | None = None,
    shades: Sequence[Shade] = (),
) -> None:
    """Draw learning rates on a logarithmic axis, the moves by markers of their phase, some of them with a number."""
    from infopace.pictures._shown import Plain  # there is a figure, so matplotlib is installed

    handles = _draw_shades(axes, shades)
    for place, one in enumerate(rates):
        axes.plot(one.at, one.lr, color=colours[one.layer], linewidth=_width(place, len(rates)))
    layers = list(dict.fromkeys(move.layer for move in moves))
    most = min(max(_MARKERS_TOGETHER // max(len(layers), 1), 2), _MOST_MARKERS)
    for layer in layers:
        for move in thinned([move for move in moves if move.layer == layer], most):
            axes.plot(move.at, move.lr, _MARKERS[move.phase][0], color=colours[layer], **_MARKER_STYLE)
    shown = [lr for lr in (*(lr for one in rates for lr in one.lr), *(m.lr for m in moves)) if lr > 0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(Plain())
    axes.yaxis.set_minor_formatter(Plain())
    axes.set_ylabel("learning rate")
    if shown:
        lowest = min(shown) if lr_min is None else min(lr_min, *shown)
        axes.set_ylim(lowest / 1.6, max(shown) * 2.2)
    else:
        axes.yaxis.set_visible(False)
    phases = {move.phase for move in moves}
    handles += [
        axes.plot([], [], marker, color=GREY, label=label)[0]
        for phase, (marker, label) in _MARKERS.items()
        if phase in phases
    ]
    if lr_min is not None:
        floor: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (1, 2))}
        handles.append(axes.axhline(lr_min, label="lr_min", **floor))
    if len(rates) > 1:
        handles += [
            axes.plot([], [], color=colours[one.layer], linewidth=2, label=one.label or one.layer)[0]
            for one in _some(rates)
        ]
    if handles:
        axes.legend(handles=handles, ncols=2 if len(rates) > 1 else 1, **_LEGEND)
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


def draw_information(
    axes: Axes,
    curves: Sequence[Curve],
    colours: Mapping[str, str],
    reference: float | None = None,
    decoder: Curve | None = None,
    shades: Sequence[Shade] = (),
) -> None:
    """Draw information in nats, with bands of a standard error.

    `reference` is I(X;Y). `decoder` is a lower bound, which may begin below what is shown.
    """
    for one in _draw_shades(axes, shades):
        one.set_label("_")  # they have their names beside the learning rate
    if reference is not None:
        label = f"reference I(X;Y), {reference:.3f}"
        axes.axhline(reference, color=GREY, linewidth=1.3, linestyle="--", label=label)
    # The last layer often is the output under another name. Then one line is enough.
    output = next((list(one.nats) for one in curves if one.layer == "output" and not one.held_out), None)
    same = (
        one.layer for one in curves if one.layer != "output" and not one.held_out and list(one.nats) == output
    )
    twin = next(same, None)
    drawn = [one for one in curves if not (one.layer == "output" and twin)]
    drawn.sort(key=lambda one: one.held_out)
    full, named = sum(not one.held_out for one in drawn), _some(drawn)
    for place, one in enumerate(drawn):
        style: dict[str, Any] = {"linewidth": _width(place, full)}
        if one.held_out:
            style = {"linewidth": 1.3, "linestyle": (0, (4, 2))}
        if len(one.at) == 1:
            style["marker"] = "o"
        band = full <= _MOST_BANDS and _draw_band(axes, one, colours[one.layer])
        label = _name(one, twin, band) if one in named else "_"
        axes.plot(one.at, one.nats, color=colours[one.layer], label=label, **style)
    if decoder is not None:
        style = {"color": colours[twin or decoder.layer], "linewidth": 1.2, "linestyle": ":"}
        axes.plot(decoder.at, decoder.nats, label="output, decoder bound", **style)
    # The axis may cut off the decoder bound, so that the layers stay distinct.
    shown = [nats for one in drawn for nats in one.nats] + ([] if reference is None else [reference])
    margin = 0.08 * (max(shown) - min(shown)) or 0.1
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.set_ylabel("I(T;Y), nats")
    axes.legend(ncols=2 if len(drawn) > 2 else 1, **_LEGEND)


def _name(curve: Curve, twin: str | None, band: bool) -> str:
    if curve.held_out:
        return "held out" if curve.layer == "output" else f"{curve.layer}, held out"
    name, is_output = curve.layer, curve.layer == twin
    name += ", the output" if is_output else ""
    return f"{name}{',' * is_output} ± standard error" if band else name


def _draw_band(axes: Axes, curve: Curve, colour: str) -> bool:
    """Draw a standard error to both sides; whether one is known."""
    error = [part or 0.0 for part in curve.error]
    if not any(error):
        return False
    low, high = ([nats + sign * e for nats, e in zip(curve.nats, error, strict=True)] for sign in (-1, 1))
    axes.fill_between(curve.at, low, high, color=colour, alpha=0.09 if curve.held_out else 0.18, linewidth=0)
    return True


def _draw_shades(axes: Axes, shades: Sequence[Shade]) -> list[Any]:
    """Draw them; returns a part of each, with its name."""
    named: list[Any] = []
    for one in shades:
        parts = [axes.axvspan(*span, color=one.colour, alpha=0.15, linewidth=0) for span in one.spans]
        for part in parts[:1]:
            part.set_label(one.label)
        named += parts[:1]
    return named


def _width(place: int, lines: int) -> float:
    return min(_THIN + _STEP * max(lines - 1 - place, 0), _WIDE) if lines <= _MOST_BANDS else _THIN


def _some(curves: Sequence[T]) -> list[T]:
    """Those that have a name in the legend: all, or some from the first to the last."""
    if len(curves) <= _MOST_NAMED:
        return list(curves)
    places = {round(place * (len(curves) - 1) / (_FEWER_NAMED - 1)) for place in range(_FEWER_NAMED)}
    return [curves[place] for place in sorted(places)]
