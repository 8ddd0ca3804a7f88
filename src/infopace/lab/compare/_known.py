"""Runs from the rows of earlier comparisons. They count as done, though their folders are elsewhere.

A comparison keeps the rows that it was given, so the next command needs no --known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from infopace.lab.compare._cells import Cell, Outcome
from infopace.lab.compare._config import FIRST_TUNING_SEED, FREE_LIMIT, ComparePlan, entry_of
from infopace.lab.compare._jobs import BOUNDS, FoundBounds, found_bounds, found_in, keep_bounds
from infopace.lab.config import DEFAULT, OWN, PACED
from infopace.lab.errors import InputError
from infopace.lab.files import parse_json, write_atomically
from infopace.lab.identity import differing
from infopace.lab.run_folder import is_number
from infopace.lab.tasks import ACCURACY, Metric

Row = dict[str, Any]
# The name of the method, the learning rate, the seed, and the number of epochs of an -as-ours run.
Key = tuple[str, float | None, int, int | None]
_KEPT, _RANGE_TEST = "known.jsonl", "range test"
# The seeds of the runs of each part: from the first, below the second.
_PARTS = {"tuning": (FIRST_TUNING_SEED, 2 * FIRST_TUNING_SEED), "test": (0, FIRST_TUNING_SEED)}


@dataclass(frozen=True)
class Known:
    """Rows of runs, the range test whose bounds the paced ones used (None without one), and notes for the user."""

    runs: tuple[Row, ...]
    found: FoundBounds | None
    notes: tuple[str, ...] = ()


def read_known(files: Sequence[Path], plan: ComparePlan, inputs: Mapping[str, Any]) -> Known:
    """Read rows.jsonl of earlier comparisons.

    Raises InputError for a row of another workload or budget, for a row made with other `inputs`, and for values that
    no run can give. Rows of older comparisons record no inputs; they are taken, and a note says so.
    """
    known = Known((), None)
    for file in files:
        rows = _read(file, plan, inputs)
        if not rows:
            raise InputError(f"known must name a rows.jsonl of a comparison, got {file}, which is empty")
        unverified = sum("inputs" not in row for row in rows)
        if unverified:
            note = f"{unverified} of {len(rows)} rows of {file} record neither data nor code and are taken unverified"
            known = Known(known.runs, known.found, (*known.notes, note))
        found = next((_found(row) for row in rows if row["part"] == _RANGE_TEST), None)
        runs = [row for row in rows if row["part"] != _RANGE_TEST]
        paced = any(row["method"].startswith(tuple(PACED)) and row["method"] != DEFAULT for row in runs)
        bounds = "workload" if found is None else "range-test"
        if paced and bounds != plan.bounds:
            raise InputError(f"{file} was made with bounds = {bounds!r}, not {plan.bounds!r}")
        if plan.bounds == "range-test" and found is not None:
            _check_bounds(known.found, found, str(file))
            known = Known(known.runs, found, known.notes)
        known = Known((*known.runs, *runs), known.found, known.notes)
    return known


def keep_known(known: Known, plan: ComparePlan, inputs: Mapping[str, Any]) -> None:
    """Keep the rows in the folder of the comparison. Raises InputError where its own range test gave other bounds."""
    if known.found is not None:
        _check_bounds(found_bounds(plan.folder), known.found, "the known rows")
    rows = {_key(row): row for row in [*_kept(plan, inputs), *known.runs]}
    if known.found is not None:
        keep_bounds(known.found, plan.folder)
    if known.runs:
        content = "".join(f"{json.dumps(row)}\n" for row in rows.values())
        write_atomically(plan.folder / _KEPT, content.encode())


def known_outcomes(plan: ComparePlan, inputs: Mapping[str, Any]) -> dict[Key, Outcome]:
    """How these runs ended. A run that was lost without diverging is left out: here it may end well."""
    return {
        _key(row): Outcome.from_row(row)
        for row in _kept(plan, inputs)
        if not row["failure"] or row.get("ended") == "diverged"
    }


def _kept(plan: ComparePlan, inputs: Mapping[str, Any]) -> list[Row]:
    """The rows that the folder of the comparison keeps."""
    file = plan.folder / _KEPT
    return _read(file, plan, inputs) if file.exists() else []


def _read(file: Path, plan: ComparePlan, inputs: Mapping[str, Any]) -> list[Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"known must name a rows.jsonl of a comparison, got {file}: {error}") from error
    return [_row(line, f"{file}, line {number}", plan, inputs) for number, line in enumerate(lines, 1)]


def _row(line: str, place: str, plan: ComparePlan, inputs: Mapping[str, Any]) -> Row:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise InputError(f"{place}: not a row of a comparison's rows.jsonl: {line[:60]!r}") from error
    if not isinstance(row, dict) or row.get("part") not in (*_PARTS, _RANGE_TEST):
        raise InputError(f"{place}: not a row of a comparison's rows.jsonl: {line[:60]!r}")
    for name, here in (("workload", plan.workload.name), ("epochs", plan.epochs)):
        if row.get(name) != here:
            raise InputError(
                f"{place}: the row is of another comparison: {name} is {row.get(name)!r} there and {here!r} here"
            )
    wrong = _wrong_test(row) if row["part"] == _RANGE_TEST else _wrong_run(row, plan)
    if wrong:
        raise InputError(f"{place}: not a row of a comparison's rows.jsonl: {wrong}")
    there = row.get("inputs", inputs)
    differences = differing(inputs, there) if isinstance(there, dict) else f"inputs are {str(there)[:60]}"
    if differences:
        raise InputError(f"{place}: the row is of another comparison: {differences}")
    return row


def _wrong_test(row: Row) -> str:
    """Why a row cannot be that of a range test; empty where it can."""
    cost = {"seconds": row.get("seconds"), "epochs": row.get("cost_epochs")}
    bounds = {} if row.get("failure") else {name: row.get(name) for name in BOUNDS}
    found = found_in({"bounds": bounds, "failure": row.get("failure"), **cost})
    return "" if found is not None else f"bounds or costs that no range test can give: {bounds}, {cost}"


def _wrong_run(row: Row, plan: ComparePlan) -> str:
    """Why a row cannot be that of a run of this comparison; empty where it can."""
    try:
        entry = entry_of(row["method"], plan.optimizer) if isinstance(row.get("method"), str) else None
    except InputError as error:
        return str(error)
    seed, lr, test, seconds, failure = (row.get(n) for n in ("seed", "lr", "test", "seconds", "failure"))
    if entry is None or not isinstance(failure, str):
        return f"method and failure must be texts, got {row.get('method')!r} and {failure!r}"
    least, most = _PARTS[row["part"]]
    if not (_count(seed) and least <= seed < most):
        return f"seed must be in {least}..{most - 1}, got {seed!r}"
    if not (_positive(lr) if entry.grid else lr is None):
        return f"lr must be {'a positive number' if entry.grid else 'null'}, got {lr!r}"
    if not (isinstance(test, list) and isinstance(seconds, list) and len(test) == len(seconds)):
        return "test and seconds must be lists of one length"
    if not all(is_number(value) and value >= 0 for value in seconds):
        return "seconds must be numbers >= 0"
    ends = [] if failure else [row.get("final"), row.get("best")]
    impossible = next((v for v in [*test, *ends] if not _possible(v, plan.workload.metric)), None)
    if impossible is not None or None in ends:
        return f"{impossible!r} is no value of {plan.workload.metric.name}"
    own = row.get("run_epochs")
    if not (_count(own) and own >= 1 if entry.as_ours else own is None):
        return f"run_epochs must be {'a whole number >= 1' if entry.as_ours else 'absent'}, got {own!r}"
    limit = own or plan.epochs * (FREE_LIMIT if entry.free else 1)
    whole = bool(failure) or len(test) == limit or (entry.method in OWN and test)
    if len(test) > limit or not whole:
        return f"{len(test)} epochs instead of {limit}"
    at = row.get("best_epoch")
    if not failure and not (_count(at) and 1 <= at <= len(test)):
        return f"best_epoch must be in 1..{len(test)}, got {at!r}"
    return ""


def _count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and is_number(value) and value > 0


def _possible(value: object, metric: Metric) -> bool:
    """Whether a metric can have the value: a share is at most 1, and an accuracy at least 0."""
    if not (isinstance(value, int | float) and is_number(value)):
        return False
    share = metric.higher_is_better and metric.unit == "%"
    return (
        value * metric.scale <= 100.0 and (value >= 0 or metric.score is not ACCURACY.score)
        if share
        else True
    )


def _key(row: Row) -> Key:
    return row["method"], row["lr"], row["seed"], row.get("run_epochs")


def key_of(cell: Cell) -> Key:
    """What a run is known by."""
    return cell.name, cell.lr, cell.seed, cell.entry.epochs


def _found(row: Row) -> FoundBounds:
    bounds = {} if row["failure"] else {name: row[name] for name in BOUNDS}
    return FoundBounds(bounds, row["seconds"], row["cost_epochs"], row["failure"], "inputs" in row)


def _check_bounds(one: FoundBounds | None, other: FoundBounds | None, what: str) -> None:
    if one is not None and other is not None and one.bounds != other.bounds:
        raise InputError(
            f"{what}: the bounds are {other.bounds}, and another range test gave {one.bounds}; a table has one pair"
        )
