"""Charts as plain data: what the page's script draws. Nothing here knows a run or HTML."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Number = float | int  # JSON has whole numbers too
Values = Sequence[Number | None]


@dataclass(frozen=True)
class Entry:
    """One entry of a legend: shows and hides all series that carry its key, or a key below it ('m0' above 'm0.1')."""

    key: str
    label: str
    colour: int
    dash: int = 0


@dataclass(frozen=True)
class Point:
    """A marked place: a move of the learning rate, or the best epoch. `text` is what hovering shows."""

    x: Number
    y: Number
    shape: str
    text: str


@dataclass(frozen=True)
class Series:
    """One curve over the chart's x. None: no value there. The legend's entry with its key shows and hides it.

    `faint` is one seed behind the mean of its method: it is drawn, but not read off. `dotted` is drawn so; `bound` too,
    and may leave the chart at the bottom.
    """

    key: str
    label: str
    y: Values
    low: Values = ()
    high: Values = ()
    step: bool = False
    faint: bool = False
    bound: bool = False
    dotted: bool = False
    points: tuple[Point, ...] = ()
    colour: int = 0
    dash: int = 0


@dataclass(frozen=True)
class Axis:
    """What an axis shows, and how: on a log scale, with how many decimals."""

    label: str
    unit: str = ""
    log: bool = False
    digits: int = 3


@dataclass(frozen=True)
class Line:
    """A straight line across the chart: a reference value (y) or a bound (x)."""

    at: float
    label: str
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True)
class Chart:
    """One pair of axes. `summary` says in words what is to be seen, for those who do not see it.

    `settled` is the x from which values decide what the y axis spans; earlier ones may lie outside. `dots`
    marks every value: there are few, and between them nothing was measured.
    """

    title: str
    summary: str
    x: Sequence[Number]
    x_axis: Axis
    y_axis: Axis
    series: tuple[Series, ...]
    lines: tuple[Line, ...] = ()
    x_range: tuple[float, float] | None = None
    settled: float | None = None
    dots: bool = False
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """What the script reads: numbers of five digits, which no screen can tell from more."""
        return _compact(
            {
                f.name: getattr(self, f.name)
                for f in dataclasses.fields(self)
                if f.name not in ("summary", "note")
            }
        )


def _compact(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        found = {f.name: getattr(value, f.name) for f in fields}
        return {f.name: _compact(found[f.name]) for f in fields if found[f.name] != f.default}
    if isinstance(value, dict):
        return {name: _compact(part) for name, part in value.items()}
    if isinstance(value, float):
        rounded = float(f"{value:.5g}")
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, list | tuple):
        return [_compact(part) for part in value]
    return value
