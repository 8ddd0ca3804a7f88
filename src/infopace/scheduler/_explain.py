"""Why the learning rate moved, as text, as a table in a notebook, and as a table of rich."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from infopace.policies import Decision
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._momentum import split

# A rate in float32 differs by less from the one that was decided.
_SAME = 1e-6
_HEAD = ("time", "layer", "learning rate", "phase", "reason")


@dataclass
class Line:
    """One line of an explanation: units `first_unit` to `last_unit` of one group."""

    group: int
    first_unit: int
    last_unit: int
    of: str
    first: float
    last: float
    share: str
    decision: Decision
    as_decided: bool
    warming_up: bool
    own_momentum: float | None = None

    def goes_on_with(self, other: Line, by_steps: bool) -> bool:
        """Whether the other adds nothing: the same rates, or by steps the same reason; the end is news."""
        if (
            "finished" in (self.decision.phase, other.decision.phase)
            and self.decision.phase != other.decision.phase
        ):
            return False
        same = (self.first, self.last, self.as_decided) == (other.first, other.last, other.as_decided)
        return same or (
            by_steps
            and self.as_decided
            and other.as_decided
            and (self.decision.phase, self.decision.reason) == (other.decision.phase, other.decision.reason)
        )

    def take(self, other: Line) -> None:
        """Share the line with the unit that follows."""
        self.last_unit, self.last = other.last_unit, other.last

    def rates(self, to: str) -> str:
        """The first and the last rate, with `to` between them; where momentum is lowered, both as they are."""
        ends = [(rate, None) for rate in (self.first, self.last)]
        if self.decision.held is not None and self.as_decided:
            ends = [split(rate, self.decision.held, self.own_momentum) for rate in (self.first, self.last)]
        lrs, momenta = zip(*ends, strict=True)
        rates = _way(lrs, to, ".4g")
        if momenta[0] is not None:
            rates += f" and momentum {_way(momenta, to, '.3g')}"
        return f"{rates} with a warm-up" if self.warming_up else rates

    @property
    def reason(self) -> str:
        """The reason of the decision, and what was decided where other code has set the rate."""
        if self.as_decided:
            return self.decision.reason
        return f"set by other code; decided: {self.decision.lr:.4g}{self.share}, {self.decision.reason}"

    def text(self, when: str) -> str:
        """In words; `when` names its units."""
        of = f"{self.of}: " if self.of else ""
        if self.as_decided:
            return f"{when}: {of}lr {self.rates('to')}{self.share}: {self.reason}"
        return f"{when}: {of}lr {self.rates('to')}, {self.reason}"

    def cells(self, when: str) -> tuple[str, ...]:
        """As a row of a table."""
        share = self.share if self.as_decided else ""
        return when, self.of, self.rates("→") + share, self.decision.phase, self.reason


def line_of(
    unit: int,
    group: int,
    decision: Decision,
    groups: ParameterGroups,
    used: tuple[float, float] | None,
    set_here: bool,
    lr_min: float,
    by_steps: bool,
) -> Line:
    """The line of a group's decision for a unit, counted from 0.

    Args:
        used: The rates at the first and at the last step; None: it was not trained, or not yet.
        set_here: Whether the scheduler has set them before each step.
        lr_min: The floor of the layer's rate.
    """
    layer, factor = groups.layers[group], groups.factors[group]
    lr_min *= factor
    first, last = (decision.lr,) * 2 if used is None else used
    as_decided = set_here or all(math.isclose(lr, decision.lr, rel_tol=_SAME) for lr in (first, last))
    if as_decided and not set_here:
        first = last = decision.lr
    if used is None and by_steps and decision.change:  # the way that is planned
        first, last = (max(decision.at(over), lr_min) for over in (0.0, 1.0))
    # Nothing else sets a lower rate before each step.
    least = max(min(decision.at(0.0), decision.at(1.0)), lr_min)
    warming_up = set_here and first < min(least, decision.lr) * (1 - _SAME)
    share = "" if factor == 1 else f", {factor:.3g} of the layer's"
    of = layer if len(set(groups.layers)) > 1 else ""
    own = groups.own_momentum(group)
    return Line(group, unit + 1, unit + 1, of, first, last, share, decision, as_decided, warming_up, own)


def _way(ends: Sequence[float], to: str, form: str) -> str:
    first, last = (format(end, form) for end in ends)
    return first if ends[0] == ends[1] else f"{first} {to} {last}"


def once(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines without those of a unit and layer that say what another group's line says."""
    said: set[tuple[Any, ...]] = set()
    for line in lines:
        key = line.first_unit, line.decision, line.of, line.first, line.last, line.share, line.as_decided
        if key not in said:
            said.add(key)
            yield line


class Explanation(str):
    """Why the learning rate moved: a text, which a notebook and `rich.print` show as a table.

    Attributes:
        head: The names of the columns: time (epochs or optimizer steps), layer, learning rate (at the first and at the
            last step), phase, reason.
        rows: A row for each move, of as many cells. `pandas.DataFrame(e.rows, columns=e.head)` is a table of pandas.
    """

    head: tuple[str, ...] = _HEAD
    rows: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, found: Sequence[str], lines: Sequence[Line], name: Callable[[int, int], str]) -> Explanation:
        """From what the search for the rate has found, and the moves; `name` names a span of units."""
        whens = [name(line.first_unit, line.last_unit) for line in lines]
        explained = [line.text(when) for line, when in zip(lines, whens, strict=True)]
        made = cls("\n".join([*found, *explained]))
        made.rows = (
            *(("", "", "", "search", one) for one in found),
            *(line.cells(when) for line, when in zip(lines, whens, strict=True)),
        )
        return made

    def _shown(self) -> list[tuple[str, ...]]:
        """Head and rows, the column of layers only where there are several."""
        table = [self.head, *self.rows]
        return table if any(row[1] for row in self.rows) else [(row[0], *row[2:]) for row in table]

    def _repr_html_(self) -> str:
        head, *rows = self._shown()
        style = ' style="text-align: left; vertical-align: top"'
        lines = ["<tr>" + "".join(f"<th{style}>{escape(cell)}</th>" for cell in head) + "</tr>"]
        lines += [
            "<tr>" + "".join(f"<td{style}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        ]
        return "\n".join(["<table>", *lines, "</table>"])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def __rich__(self) -> Any:
        from rich.table import Table  # rich is there, because it asks
        from rich.text import Text

        head, *rows = self._shown()
        table = Table(*head)
        for row in rows:
            table.add_row(*map(Text, row))
        return table
