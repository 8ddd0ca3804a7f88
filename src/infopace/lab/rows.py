"""Rows of epochs as they are read back: whatever lies in a file, only what a run can have written is gone on from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from infopace.lab.run_folder import Row


def sound_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows up to the first that no run can have written."""
    return list(itertools.takewhile(_is_sound, rows))


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_sound(row: Row) -> bool:
    return (
        is_number(row.get("test"))
        and (row.get("train_loss") is None or is_number(row["train_loss"]))
        and _all_numbers(row.get("lr"))
        and _holds_numbers(row.get("seconds"))
        and _is_list_of(row.get("warnings"), str)
        and _is_list_of(row.get("decisions"), dict)
        and all(_is_decision(decision) for decision in row["decisions"])
        and isinstance(row.get("information"), dict)
        and all(_is_measured(layer) for layer in row["information"].values())
        and (row.get("reference") is None or is_number(row["reference"]))
        and _holds_numbers(row.get("held_out", {}))
    )


def _is_decision(decision: dict[str, Any]) -> bool:
    texts = all(isinstance(decision.get(name), str) for name in ("layer", "phase", "reason"))
    return texts and is_number(decision.get("lr"))


def _is_measured(layer: object) -> bool:
    if not isinstance(layer, dict) or not is_number(layer.get("nats")):
        return False
    return all(layer.get(name) is None or is_number(layer[name]) for name in ("std_error", "decoder"))


def _is_list_of(values: object, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _all_numbers(values: object) -> bool:
    return isinstance(values, list) and all(is_number(value) for value in values)


def _holds_numbers(values: object) -> bool:
    return isinstance(values, dict) and all(is_number(value) for value in values.values())
