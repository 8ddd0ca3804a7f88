"""The changes of a learning rate that pictures and reports show, from the rows of a run."""

from __future__ import annotations

from infopace.lab.run_folder import Row
from infopace.pictures import Move


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
            layer, when = decision["layer"], f"epoch {row['epoch']}"
            moves.append(Move(at, before, decision["lr"], decision["phase"], why, layer, when))
        before = decision["lr"]
    return moves
