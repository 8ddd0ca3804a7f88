"""Runs that the rows of earlier comparisons tell of: they count as done, though their folders are elsewhere.

A comparison keeps the rows that it was given, so that the next command need not be given them again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infopace.lab.compare._cells import Outcome
from infopace.lab.compare._config import ComparePlan
from infopace.lab.compare._jobs import FoundBounds, found_bounds, keep_bounds
from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.pacing import PACED

Row = dict[str, Any]
Key = tuple[str, float | None, int]
_KEPT, _RANGE_TEST = "known.jsonl", "range test"
_BOUNDS = ("lr_min", "lr_max", "lr_top", "epsilon")


@dataclass(frozen=True)
class Known:
    """Rows of runs, and the range test that the paced ones among them went by; None without such."""

    runs: tuple[Row, ...]
    found: FoundBounds | None


def read_known(files: Sequence[Path], plan: ComparePlan) -> Known:
    """Read rows.jsonl of earlier comparisons. Raises InputError where one is not of the same workload and budget."""
    known = Known((), None)
    for file in files:
        rows = _read(file)
        _check_same(rows, plan, file)
        found = next((_found(row) for row in rows if row["part"] == _RANGE_TEST), None)
        runs = [row for row in rows if row["part"] != _RANGE_TEST]
        paced = any(row["method"].startswith(tuple(PACED)) for row in runs)
        bounds = "workload" if found is None else "range-test"
        if paced and bounds != plan.bounds:
            raise InputError(f"{file} was made with bounds = {bounds!r}, not {plan.bounds!r}")
        if plan.bounds == "range-test" and found is not None:
            _check_bounds(known.found, found, str(file))
            known = Known(known.runs, found)
        known = Known((*known.runs, *runs), known.found)
    return known


def keep_known(known: Known, plan: ComparePlan) -> None:
    """Take them into the comparison's folder. Raises InputError where its own range test gave other bounds."""
    if not known.runs and known.found is None:
        return
    if known.found is not None:
        _check_bounds(found_bounds(plan.folder), known.found, "the known rows")
        keep_bounds(known.found, plan.folder)
    file = plan.folder / _KEPT
    rows = {_key(row): row for row in [*(_read(file) if file.exists() else []), *known.runs]}
    write_atomically(file, "".join(f"{json.dumps(row)}\n" for row in rows.values()).encode())


def known_outcomes(plan: ComparePlan) -> dict[Key, Outcome]:
    """How those runs ended. One that failed for a reason of its machine is not among them: it may end well here."""
    file = plan.folder / _KEPT
    ended = {_key(row): Outcome.from_row(row) for row in (_read(file) if file.exists() else [])}
    return {
        key: outcome
        for key, outcome in ended.items()
        if not outcome.failure or outcome.failure.startswith("training diverged")
    }


def _read(file: Path) -> list[Row]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"known must name a rows.jsonl of a comparison, got {file}: {error}") from error
    if not lines:
        raise InputError(f"known must name a rows.jsonl of a comparison, got {file}, which is empty")
    return [_row(line, f"{file}, line {number}") for number, line in enumerate(lines, 1)]


def _row(line: str, place: str) -> Row:
    try:
        row = json.loads(line)
        _ = (
            row["workload"],
            row["epochs"],
            _found(row) if row["part"] == _RANGE_TEST else Outcome.from_row(row),
        )
        numbers = () if row["part"] == _RANGE_TEST else _numbers(row)
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            raise ValueError("a value that is no number")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{place}: not a row of a comparison's rows.jsonl: {line[:60]!r}") from error
    return row


def _numbers(row: Row) -> list[Any]:
    """What must be numbers: of a run that failed the curve until then, of another its end as well."""
    ended = [] if row["failure"] else [row["final"], row["best"], row["best_epoch"]]
    return [*ended, *row["test"], *row["seconds"], row["seed"], *([] if row["lr"] is None else [row["lr"]])]


def _key(row: Row) -> Key:
    return row["method"], row["lr"], row["seed"]


def _found(row: Row) -> FoundBounds:
    bounds = {} if row["failure"] else {name: row[name] for name in _BOUNDS}
    return FoundBounds(bounds, row["seconds"], row["cost_epochs"], row["failure"])


def _check_same(rows: Iterable[Row], plan: ComparePlan, file: Path) -> None:
    for row in rows:
        for name, here in (("workload", plan.workload.name), ("epochs", plan.epochs)):
            if row[name] != here:
                raise InputError(
                    f"{file} is of another comparison: {name} is {row[name]!r} there and {here!r} here"
                )


def _check_bounds(one: FoundBounds | None, other: FoundBounds | None, what: str) -> None:
    if one is not None and other is not None and one.bounds != other.bounds:
        raise InputError(
            f"{what}: made within {other.bounds}, and another range test gave {one.bounds}; a table has one"
        )
