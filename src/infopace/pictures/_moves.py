"""The changes of a learning rate that pictures and reports show."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

# Shares of the axis's length and height. Badges that are closer would cover each other.
_NEAR_X, _NEAR_Y = 0.03, 0.12
_LITTLE = 0.02  # of a rate
_WIDTH = 150  # characters a line in the list of reasons
_NAMED = 4  # layers that are named one by one


@dataclass(frozen=True)
class Move:
    """A change of a learning rate.

    Attributes:
        at: Its place on the time axis, in epochs or optimizer steps.
        before: The rate before; None: it is the first.
        lr: The rate after.
        phase: That of the decision: "hold", "decay" or "finished".
        reason: That of the decision.
        layer: The layer that drives the group.
        when: The time in words, such as "epoch 3".
        until: The rate at the end of that time, where it goes on to move; None: it stays.
    """

    at: float | int
    before: float | None
    lr: float
    phase: str
    reason: str
    layer: str
    when: str
    until: float | None = None

    @property
    def size(self) -> float:
        """The size of the change in e-folds; the first rate counts as the largest, and one of 0 as none."""
        if self.before is None:
            return math.inf
        rates = (self.before, self.lr, self.lr if self.until is None else self.until)
        return sum(
            abs(math.log(after / before)) for before, after in pairwise(rates) if min(before, after) > 0
        )

    @property
    def rates(self) -> str:
        """The rates in words; a first step of a way says nothing."""
        rates = [self.before, self.lr, self.until]
        if self.before and self.until is not None and math.isclose(self.lr, self.before, rel_tol=_LITTLE):
            del rates[1]
        shown = [f"{rate:.3g}" for rate in rates if rate is not None]
        return " to ".join(name for name, _ in groupby(shown))


def thinned(moves: Sequence[Move], most: int) -> list[Move]:
    """The `most` largest moves, in their order."""
    kept = sorted(range(len(moves)), key=lambda i: -moves[i].size)[:most]
    return [moves[i] for i in sorted(kept)]


def notable(moves: Sequence[Move], most: int, *, span: float | int) -> list[Move]:
    """The largest moves, at most `most` and in the order of time, none so near another that badges would overlap.

    Of consecutive moves of a layer for one reason, as in a decay phase, only the first counts. `span` is the length of
    the time axis.
    """
    moves = [move for move in _first_of_each_reason(moves) if move.lr > 0]
    if not moves:
        return []
    logs = [math.log(move.lr) for move in moves]
    height = max(logs) - min(logs) or 1.0
    chosen: list[Move] = []
    for move in sorted(moves, key=lambda m: -m.size):
        near = any(
            abs(move.at - other.at) < _NEAR_X * span and abs(math.log(move.lr / other.lr)) < _NEAR_Y * height
            for other in chosen
        )
        if not near:
            chosen.append(move)
        if len(chosen) == most:
            break
    return sorted(chosen, key=lambda m: (m.at, m.layer))


def _first_of_each_reason(moves: Sequence[Move]) -> list[Move]:
    last: dict[str, str] = {}
    found = []
    for move in moves:
        if last.get(move.layer) != move.reason:
            found.append(move)
        last[move.layer] = move.reason
    return found


def reasons(moves: Sequence[Move], numbered: Sequence[Move], found: Sequence[str] = ()) -> list[str]:
    """Lines of text below a picture: the reason of each move that has a number there, from 1.

    `found` is what a search for the rate has found before.
    """
    several = len({move.layer for move in moves}) > 1
    lines = [line for one in found for line in textwrap.wrap(one, _WIDTH, subsequent_indent="    ")]
    for number, move in enumerate(numbered, 1):
        same = dict.fromkeys(m.layer for m in moves if (m.at, m.lr) == (move.at, move.lr))
        more = [f"{len(same) - _NAMED} more"] if len(same) > _NAMED else []
        layers = ", ".join([*list(same)[:_NAMED], *more])
        of = f", layer{'s' * (len(same) > 1)} {layers}" if several else ""
        text = f"{number}  {move.when}{of}: lr {move.rates}: {move.reason}"
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent="    ")
    shown = {(move.at, move.lr) for move in numbered}
    if more := len({(move.at, move.lr) for move in _first_of_each_reason(moves)} - shown):
        lines.append(f"{more} more {'moves' if more > 1 else 'move'}")
    return lines
