"""Which moves of a learning rate are worth showing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infopace.lab.run_folder import Row

_NEAR_X, _NEAR_Y = (
    0.03,
    0.12,
)  # of the axis and of its height in decades: closer badges would cover each other


@dataclass(frozen=True)
class Move:
    """A learning rate that changed: where on the epoch axis, from what (None: it is the first), and why."""

    at: int
    before: float | None
    lr: float
    phase: str
    reason: str
    layer: str

    @property
    def size(self) -> float:
        """How far it moved, in e-folds; the start counts as the largest."""
        return math.inf if self.before is None else abs(math.log(self.lr / self.before))


def moves_of(rows: list[Row], group: int) -> list[Move]:
    """The moves of one parameter group; `rows` as in epochs.jsonl, epoch 0 first."""
    moves: list[Move] = []
    before: float | None = None
    for row in rows[1:]:
        if not row["decisions"]:  # a baseline keeps no reasons
            continue
        decision = row["decisions"][group]
        if decision["lr"] != before:
            at = row["epoch"] - 1
            moves.append(
                Move(at, before, decision["lr"], decision["phase"], decision["reason"], decision["layer"])
            )
        before = decision["lr"]
    return moves


def thinned(moves: list[Move], most: int) -> list[Move]:
    """At most `most` of the moves, the largest, in their order."""
    kept = sorted(range(len(moves)), key=lambda i: -moves[i].size)[:most]
    return [moves[i] for i in sorted(kept)]


def notable(moves: list[Move], most: int, *, span: int) -> list[Move]:
    """The largest moves, at most `most`, none so near another that badges would overlap; in time's order.

    Of moves of a layer that follow each other for one reason, as in an anneal, the first stands for all. `span` is the
    length of the epoch axis.
    """
    moves = _with_news(moves)
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


def _with_news(moves: list[Move]) -> list[Move]:
    told: dict[str, str] = {}
    found = []
    for move in moves:
        if told.get(move.layer) != move.reason:
            found.append(move)
        told[move.layer] = move.reason
    return found
