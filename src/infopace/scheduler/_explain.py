"""A line of the explanation why the learning rate moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infopace.policies import Decision


@dataclass
class Line:
    """One line of an explanation: units `first_unit` to `last_unit` of one group."""

    first_unit: int
    last_unit: int
    of: str
    first: float
    last: float
    share: str
    decision: Decision
    as_decided: bool
    warming_up: bool

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

    def text(self, name: Callable[[int, int], str]) -> str:
        """In words; `name` names a span of units."""
        rates = f"{self.first:.4g}" if self.first == self.last else f"{self.first:.4g} to {self.last:.4g}"
        if self.warming_up:
            rates += " with a warm-up"
        why = f"lr {rates}{self.share}: {self.decision.reason}"
        if not self.as_decided:
            own = f"decided: {self.decision.lr:.4g}{self.share}, {self.decision.reason}"
            why = f"lr {rates}, set by other code; {own}"
        return f"{name(self.first_unit, self.last_unit)}: {self.of}{why}"
