"""The command `infopace compare` from its options to the table."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from infopace.lab.bounds import as_json
from infopace.lab.compare._bench import Bench, Say, bounds_text
from infopace.lab.compare._cells import Cell, Outcome, final_cells, tuning_cells
from infopace.lab.compare._config import CompareConfig, ComparePlan, Entry, inputs_of, resolve_comparison
from infopace.lab.compare._jobs import FoundBounds, Job, RangeTestJob, RunJob, found_bounds
from infopace.lab.compare._known import keep_known, read_known
from infopace.lab.compare._summary import Line, Method, report_fields, summarise
from infopace.lab.compare._table import table_lines
from infopace.lab.compare._tuning import Tuned, choose
from infopace.lab.config import find_device
from infopace.lab.environment import commit, hardware, versions
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.files import held_folder, names_in, write_atomically
from infopace.lab.identity import differing
from infopace.lab.run_folder import RunFolder
from infopace.lab.trial import load_tried

ROWS, TABLE, REPORT, RECORD = "rows.jsonl", "table.md", "comparison.json", "compare.json"
_NO_BOUNDS = FoundBounds({}, 0.0, 0.0)


def compare(config: CompareConfig, say: Say) -> list[str]:
    """Run `infopace compare`; the lines to end with. The same command again resumes and ends with the same table.

    Raises InputError for input that cannot be used, Unfinished where runs are missing. A run that fails is reported,
    and the others go on.
    """
    plan = resolve_comparison(config)
    inputs = inputs_of(plan, load_tried(plan.workload, torch.device("cpu")))
    known = read_known(config.known, plan, inputs)
    for note in known.notes:
        say(f"note: {note}")
    with _held(plan, inputs):
        keep_known(known, plan, inputs)
        bench = Bench(config, plan, inputs, say)
        tested = plan.bounds == "range-test" and any(entry.baseline is None for entry in plan.entries)
        first: list[Job] = [RangeTestJob()] if tested else []
        first += [RunJob(cell) for entry in plan.entries for cell in tuning_cells(entry, plan)]
        bench.run(first, "tuning")

        found = (found_bounds(plan.folder) if tested else _NO_BOUNDS) or FoundBounds(
            {}, 0.0, 0.0, f"the range test failed: {bench.range_test_failure()}"
        )
        tuned = {
            entry.name: choose(bench.outcomes(tuning_cells(entry, plan)), entry.grid, plan.workload.metric)
            for entry in plan.entries
            if entry.grid
        }
        finals = {entry.name: _finals(entry, plan, tuned, found) for entry in plan.entries}
        bench.run(
            [
                RunJob(cell, found.bounds if entry.baseline is None else {})
                for entry in plan.entries
                for cell in finals[entry.name]
            ],
            "comparison",
        )
        outcomes = {name: bench.outcomes(cells) for name, cells in finals.items()}
        broken = bench.range_test_failure()
        methods = [
            _method(entry, tuned.get(entry.name), found, plan.epochs, outcomes[entry.name], broken)
            for entry in plan.entries
        ]
        lines = summarise(methods, outcomes, plan.workload.metric, plan.workload.levels)
        tunings = [o for entry in plan.entries for o in bench.outcomes(tuning_cells(entry, plan))]
        finals_made = [o for ended in outcomes.values() for o in ended]
        last_lines = _keep(plan, inputs, lines, tunings, finals_made, None if broken else found)
        if not any(o.final is not None for o in finals_made):
            why = next((o.failure for o in [*finals_made, *tunings] if o.failure), found.failure)
            raise Unfinished(f"no run of the comparison has finished: {why}", last_lines)
        lost = [f"{o.cell.title}: {o.failure}" for o in [*tunings, *finals_made] if o.lost]
        lost = [f"range test: {broken}", *lost] if broken else lost
        if lost:
            raise Unfinished(
                f"the comparison is incomplete, runs are missing: {len(lost)}; the first: {lost[0]}; the same command"
                " makes what is missing",
                last_lines,
            )
        return last_lines


def _finals(entry: Entry, plan: ComparePlan, tuned: Mapping[str, Tuned], found: FoundBounds) -> list[Cell]:
    """The runs of a method for the table; none where its learning rate or its bounds were not found."""
    if not entry.grid:
        return [] if entry.baseline is None and found.failure else final_cells(entry, None, plan)
    lr = tuned[entry.name].lr
    return [] if lr is None else final_cells(entry, lr, plan)


def _method(
    entry: Entry,
    choice: Tuned | None,
    found: FoundBounds,
    epochs: int,
    finals: Sequence[Outcome],
    broken: str,
) -> Method:
    unverified = sum(not outcome.verified for outcome in finals)
    notes = (
        [f"{unverified} of {len(finals)} runs come from rows that record neither data nor code"]
        if unverified
        else []
    )
    if entry.baseline is None:
        text = f"bounds {bounds_text(found.bounds)}" if found.bounds else "the workload's bounds"
        note = "; ".join([found.failure or text, *notes])
        return Method(entry.name, None, found.seconds, found.epochs, note, missing=int(bool(broken)))
    if choice is None:
        return Method(entry.name, None, 0.0, 0.0, "; ".join(notes))
    if choice.missing:
        first, lost = choice.missing[0], len(choice.missing)
        notes = [
            f"incomplete, {lost} of {choice.runs} tuning runs are missing: {first.cell.title}: {first.failure}"
        ]
    elif choice.lr is None:
        notes = ["every learning rate failed"]
    elif choice.at_edge:
        notes = [f"{choice.lr:g} is at the edge of its grid", *notes]
    cost = float(choice.runs * epochs)
    return Method(entry.name, choice.lr, choice.seconds, cost, "; ".join(notes), missing=len(choice.missing))


def _keep(
    plan: ComparePlan,
    inputs: Mapping[str, Any],
    lines: Sequence[Line],
    tunings: Sequence[Outcome],
    finals: Sequence[Outcome],
    found: FoundBounds | None,
) -> list[str]:
    """Write the rows, the table and the file for the report; return the lines for the terminal."""
    metric = plan.workload.metric
    head = {"workload": plan.workload.name, "epochs": plan.epochs}
    rows = [
        {**head, "part": part, **outcome.row(metric), **({"inputs": inputs} if outcome.verified else {})}
        for part, outcomes in (("tuning", tunings), ("test", finals))
        for outcome in outcomes
    ]
    if found is not None and (found.bounds or found.failure):
        cost = {"cost_epochs": found.epochs, "seconds": found.seconds}
        test = {"part": "range test", **found.bounds, "failure": found.failure, **cost}
        rows.insert(0, {**head, **test, **({"inputs": inputs} if found.verified else {})})
    write_atomically(plan.folder / ROWS, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    table = table_lines(lines, metric)
    write_atomically(plan.folder / TABLE, "".join(f"{line}\n" for line in table).encode())
    caption = (
        f"{plan.epochs} epochs each. Each baseline is tuned over its own learning rates, by the final test "
        f"{metric.name} of runs with {len(plan.tuning_seeds)} other seed(s). Made by: infopace compare {plan.spec}"
    )
    content = report_fields(lines, plan.workload.name, metric, caption)
    write_atomically(plan.folder / REPORT, as_json(content))
    return [*table, f"folder: {plan.folder}", f"report: infopace report {plan.folder} {plan.folder}/runs/*"]


@contextlib.contextmanager
def _held(plan: ComparePlan, inputs: Mapping[str, Any]) -> Iterator[None]:
    """Make the folder, or go on with the same comparison in it, and lock it while the command runs."""
    folder = plan.folder
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder of a comparison must be a folder, got the file {folder}")
    # The folder of a training run has a lock too.
    names = names_in(folder)
    if names - {"lock"} and RECORD not in names:
        raise InputError(
            f"the folder of a comparison must be new, empty or hold one, not {folder}; choose another --out"
        )
    with held_folder(folder, name="the folder of a comparison", doing="comparing"):
        _check_same({**plan.settings(), **inputs}, plan)
        yield


def _check_same(asked: Mapping[str, Any], plan: ComparePlan) -> None:
    """Record what is compared. Raises InputError where the folder holds another comparison."""
    folder = plan.folder
    record: dict[str, Any] = {
        "settings": asked,
        "versions": versions(),
        "hardware": [hardware(find_device(name)) for name in dict.fromkeys(plan.devices)],
        "commit": commit(),
    }
    if not (folder / RECORD).exists():
        write_atomically(folder / RECORD, as_json(record))
        return
    there = (RunFolder(folder).read_json(RECORD) or {}).get("settings")
    if not isinstance(there, dict):
        raise InputError(
            f"{folder / RECORD} must be the record of a comparison; remove {folder} or choose another --out"
        )
    if differences := differing(asked, there):
        raise InputError(f"{folder} holds another comparison: {differences}; choose another --out")
