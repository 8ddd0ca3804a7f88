"""The changes of a learning rate that pictures and reports show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infopace.lab.run_folder import Row

# Shares of the axis's length and height. Badges that are closer would cover each other.
_NEAR_X, _NEAR_Y = 0.03, 0.12


@dataclass(frozen=True)
class Move:
    """A change of a learning rate: its place on the epoch axis, the rate before (None: the first), and the reason."""

    at: int
    before: float | None
    lr: float
    phase: str
    reason: str
    layer: str

    @property
    def size(self) -> float:
        """The size of the change in e-folds; the first rate counts as the largest."""
        return math.inf if self.before is None else abs(math.log(self.lr / self.before))


def moves_of(rows: list[Row], group: int) -> list[Move]:
    """The moves of one parameter group; `rows` as in epochs.jsonl, epoch 0 first.

    While trials look for the rate, nothing is decided. The first move is then to the rate that they found.
    """
    moves: list[Move] = []
    before: float | None = None
    trials = 0
    for row in rows[1:]:
        if row.get("finding"):
            trials += not moves
            continue
        if not row["decisions"]:  # a baseline decides nothing
            continue
        decision = row["decisions"][group]
        if decision["lr"] != before:
            at, why = row["epoch"] - 1, decision["reason"]
            if trials and not moves:
                why = f"found in trials over {trials} {'epochs' if trials > 1 else 'epoch'}; {why}"
            moves.append(Move(at, before, decision["lr"], decision["phase"], why, decision["layer"]))
        before = decision["lr"]
    return moves


def thinned(moves: list[Move], most: int) -> list[Move]:
    """The `most` largest moves, in their order."""
    kept = sorted(range(len(moves)), key=lambda i: -moves[i].size)[:most]
    return [moves[i] for i in sorted(kept)]


def notable(moves: list[Move], most: int, *, span: int) -> list[Move]:
    """The largest moves, at most `most` and in the order of time, none so near another that badges would overlap.

    Of consecutive moves of a layer for one reason, as in a decay phase, only the first counts. `span` is the length of
    the epoch axis.
    """
    moves = _first_of_each_reason(moves)
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


def _first_of_each_reason(moves: list[Move]) -> list[Move]:
    last: dict[str, str] = {}
    found = []
    for move in moves:
        if last.get(move.layer) != move.reason:
            found.append(move)
        last[move.layer] = move.reason
    return found
