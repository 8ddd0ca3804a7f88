"""Charts as plain data for the script of the page. Nothing here knows a run or HTML."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Number = float | int  # JSON has whole numbers too
Values = Sequence[Number | None]


@dataclass(frozen=True)
class Entry:
    """An entry of the legend. It shows and hides all series with its key or a key below it: 'm0' is above 'm0.1'."""

    key: str
    label: str
    colour: int
    dash: int = 0


@dataclass(frozen=True)
class Point:
    """A marked place: a move of the learning rate, or the best epoch. Hovering shows `text`."""

    x: Number
    y: Number
    shape: str
    text: str


@dataclass(frozen=True)
class Series:
    """One curve over the x of the chart; None where there is no value. The legend entry with its key shows and hides it.

    `faint` is one seed behind the mean of its method; its values are not shown on hovering. `dotted` and `bound` are
    dotted lines. The y axis makes no room for a `bound`.
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
    """The label of an axis, its scale and its number of decimals."""

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
    """One pair of axes. `summary` describes the chart in words, for readers who cannot see it.

    `settled` is the x from which values count for the span of the y axis; earlier ones may lie outside. `dots` marks
    every value, where there are few and nothing was measured between them.
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
        """The JSON for the script, with numbers of five digits. More digits make no difference on a screen."""
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
