"""The picture of a run: learning rate, information, and why the rate moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from infopace.pictures import (
    BEST,
    Curve,
    Move,
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
from infopace.pictures._figure import Figure
from infopace.policies import Bounds
from infopace.scheduler._explain import Line
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._ledger import Ledger

_MOST_REASONS = 8
_HEIGHTS = (2.9, 2.5)  # inches
# Points of the way of a rate within a unit.
_POINTS = 16
# lr_min is drawn where the rate comes as near to it.
_NEAR = 10.0


@dataclass(frozen=True)
class Run:
    """What is drawn.

    Attributes:
        found: What the search for the rate has found, in lines.
        searching: Whether it runs.
        finished: Whether the run is over.
        running: Steps of the unit of time that runs, and the groups' rates at the first and at the last of them. None:
            no step, or units are epochs.
    """

    ledger: Ledger
    groups: ParameterGroups
    found: Sequence[str]
    searching: bool
    finished: bool
    running: tuple[int, Sequence[float], Sequence[float]] | None = None


def figure_of(run: Run) -> Figure:
    """The picture as a figure of matplotlib."""
    ledger = run.ledger
    layers = list(dict.fromkeys([*run.groups.layers, *ledger.history]))
    colours = colours_of(layers)
    last = _now(run)
    moves = [] if run.searching else _moves(run)
    numbered = notable(moves, _MOST_REASONS, span=last)
    lines = reasons(moves, numbered, run.found)
    figure, panels = new_panels(_HEIGHTS, _title(run, last), lines)
    rate, information = panels
    rates, shades = _rates(run), _shades(ledger)
    lowest = min((lr for one in rates for lr in one.lr if lr > 0), default=math.inf)
    floor = ledger.bounds.lr_min if isinstance(ledger.bounds, Bounds) else math.inf
    near = lowest <= _NEAR * floor < math.inf
    draw_rates(rate, rates, moves, numbered, colours, floor if near else None, shades)
    if run.searching:
        rate.text(0.5, 0.5, "no rate is found yet", transform=rate.transAxes, ha="center")
    draw_information(information, _curves(ledger, layers), colours, ledger.reference, shades=shades)
    share_time(panels, last, "epoch" if ledger.unit is None else "optimizer step")
    return figure


def _now(run: Run) -> int:
    """How far the run is, on the axis of time; at least 1."""
    return max(run.ledger.span(len(run.ledger))[0] + (run.running[0] if run.running else 0), 1)


def _title(run: Run, last: int) -> str:
    ledger = run.ledger
    nats = round(ledger.history["output"][-1], 3) + 0.0  # not -0
    if run.searching:
        return f"{nats:.3f} nats before training, finding the learning rate"
    if len(ledger) == 1 and not run.running:
        return f"{nats:.3f} nats before training"
    phases = sorted({decision.phase for decision in ledger.decided[-1].values()})
    state = "finished" if run.finished else f"{' and '.join(phases)} phase"
    unit = "epoch" if ledger.unit is None else "step"
    measured = ledger.measured_at(len(ledger.history["output"]))
    since = "" if measured == last else f", now {last:,}"
    return f"{nats:.3f} nats after {measured:,} {unit}{'s' * (measured > 1)}{since}, {state}"


def _go(at: list[float | int], lr: list[float], times: tuple[int, int], rates: tuple[float, float]) -> None:
    """Add the way of a rate in a unit. It is straight, so on an axis of logarithms it is bent."""
    points = 1 if rates[0] == rates[1] else _POINTS
    for point in range(points + 1):
        at.append(times[0] + (times[1] - times[0]) * point / points)
        lr.append(rates[0] + (rates[1] - rates[0]) * point / points)


def _rates(run: Run) -> list[Rates]:
    """The rates of trained units, a line for each layer and share of its rate; nan breaks it where trials ran."""
    ledger, groups = run.ledger, run.groups
    found: dict[tuple[str, float], Rates] = {}
    lines = ledger.lines(groups)
    for group, (layer, factor) in enumerate(zip(groups.layers, groups.factors, strict=True)):
        at: list[float | int] = []
        lr: list[float] = []
        for line in lines:
            if line.group != group or line.first_unit == len(ledger):
                continue
            begin, end = ledger.span(line.first_unit)
            if at and begin > at[-1]:
                at.append(begin)
                lr.append(math.nan)
            _go(at, lr, (begin, end), (line.first, line.last))
        if run.running is not None:
            steps, first, last = run.running
            begin = ledger.span(len(ledger))[0]
            _go(at, lr, (begin, begin + steps), (first[group], last[group]))
        label = layer if factor == 1 else f"{layer}, {factor:.3g} of its rate"
        if at:
            found.setdefault((layer, factor), Rates(layer, at, lr, label))
    return list(found.values())


def _moves(run: Run) -> list[Move]:
    """The moves of each layer's rate, those of the group that has most of it."""
    ledger, groups = run.ledger, run.groups
    chosen = {max(groups.of(layer), key=lambda group: groups.factors[group]) for layer in groups.layers}
    before: dict[int, Line] = {}
    moves = []
    for line in ledger.moves(groups):
        if line.group not in chosen:
            continue
        last = before.get(line.group)
        at, when, lr, until = ledger.span(line.first_unit)[0], None, line.first, line.last
        if line.decision.phase == "finished" and line.first_unit == len(ledger) and last is not None:
            when, lr, until = "end", last.last, None  # nothing is trained at the last rate
        when = when or ledger.name(line.first_unit, line.last_unit)
        rates = (None if last is None else last.last), lr
        known = line.decision.phase, line.reason, groups.layers[line.group]
        moves.append(Move(at, *rates, *known, when, until))
        before[line.group] = line
    return moves


def _curves(ledger: Ledger, layers: Sequence[str]) -> list[Curve]:
    """Information of each layer, and about held-out examples for as long as they were measured."""
    measured = max(map(len, ledger.history.values()))
    times = [ledger.measured_at(values) for values in range(1, measured + 1)]
    curves = [
        Curve(layer, times[-len(ledger.history[layer]) :], ledger.history[layer], ledger.errors[layer])
        for layer in layers
    ]
    held_out = ledger.held_out
    curves += [
        Curve(layer, times[: len(nats)], nats, held_out.errors[layer], held_out=True)
        for layer, nats in held_out.history.items()
    ]
    return curves


def _shades(ledger: Ledger) -> list[Shade]:
    """The times of trials, and the units that were rolled back."""
    spans = [(0, 0), *(ledger.span(unit) for unit in range(1, len(ledger) + 1))]
    trials = [(end, begin) for (_, end), (begin, _) in pairwise(spans) if begin > end]
    rolled_back = [ledger.span(unit) for unit in ledger.rolled_back]
    return [Shade("trials", trials), Shade("rolled back", rolled_back, BEST)]
