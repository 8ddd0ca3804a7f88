"""What diagnostics recorded in the rows of a run, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infopace.lab.run_folder import Row, is_number

SIDES = ("inputs", "targets")


@dataclass(frozen=True)
class Inside:
    """The diagnostics of a run.

    Attributes:
        epochs: Those that have them.
        noise: Of the information plane, relative to the root mean square of each layer.
        n: Examples.
        layers: Their names.
        planes: For each epoch, {"inputs" or "targets": nats, low, high, null, cautions} by layer.
        spread: For each epoch, numbers by name.
    """

    epochs: tuple[int, ...]
    noise: float
    n: int
    layers: tuple[str, ...]
    planes: tuple[dict[str, dict[str, Any]], ...]
    spread: tuple[dict[str, float | None], ...]

    @property
    def most(self) -> float:
        """ln n, the most that n examples can show about the inputs, in nats."""
        return math.log(self.n)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Inside | None:
        """Those of some rows that were checked; None where there are none."""
        found = [(row["epoch"], row["diagnostics"]) for row in rows if "diagnostics" in row]
        if not found:
            return None
        plane = found[-1][1]["plane"]
        layers = tuple(plane["layers"])
        return cls(
            tuple(epoch for epoch, one in found if set(one["plane"]["layers"]) >= set(layers)),
            float(plane["noise"]),
            int(plane["n"]),
            layers,
            tuple(one["plane"]["layers"] for _, one in found if set(one["plane"]["layers"]) >= set(layers)),
            tuple(one["spread"] for _, one in found if set(one["plane"]["layers"]) >= set(layers)),
        )


def check_diagnostics(row: Row) -> None:
    """Raise KeyError, TypeError or ValueError for diagnostics that no run has recorded. A row may have none."""
    if "diagnostics" not in row:
        return
    plane, spread = row["diagnostics"]["plane"], row["diagnostics"]["spread"]
    numbers = [plane["noise"], plane["n"]]
    for layer in plane["layers"].values():
        for side in SIDES:
            one = layer[side]
            numbers += [one["nats"], one["null"], one["low"] or 0.0, one["high"] or 0.0]
            _ = [str(kind) for kind in one["cautions"]]
    numbers += [value or 0.0 for value in spread.values()]
    if not (all(map(is_number, numbers)) and plane["noise"] > 0 and plane["n"] >= 1 and plane["layers"]):
        raise ValueError(f"must hold diagnostics of finite numbers, and does not in epoch {row['epoch']}")
