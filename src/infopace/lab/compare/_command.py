"""The command `infopace compare` from its options to the table."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from infopace.lab.bounds import as_json
from infopace.lab.compare._bench import Bench, Say
from infopace.lab.compare._cells import Outcome
from infopace.lab.compare._config import CompareConfig, ComparePlan, inputs_of, resolve_comparison
from infopace.lab.compare._jobs import FoundBounds
from infopace.lab.compare._known import keep_known, read_known
from infopace.lab.compare._stages import make_all, method_of
from infopace.lab.compare._summary import Line, report_fields, summarise
from infopace.lab.compare._table import table_lines
from infopace.lab.environment import commit, hardware, versions
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.files import held_folder, names_in, write_atomically
from infopace.lab.identity import differing
from infopace.lab.options import find_device
from infopace.lab.run_folder import RunFolder
from infopace.lab.trial import load_tried

ROWS, TABLE, REPORT, RECORD = "rows.jsonl", "table.md", "comparison.json", "compare.json"


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
        ended, found = make_all(bench, plan, say)
        broken = bench.range_test_failure()
        methods = [method_of(one, ended[0], found, plan, broken) for one in ended]
        outcomes = {one.entry.name: one.finals for one in ended}
        lines = summarise(methods, outcomes, plan.workload.metric, plan.workload.levels)
        tunings = [outcome for one in ended for outcome in one.tunings]
        finals_made = [outcome for one in ended for outcome in one.finals]
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
    tuned = any(entry.grid for entry in plan.entries)
    table = [*table_lines(lines, metric), *([f"tuning: {_tuning_text(plan)}"] if tuned else [])]
    write_atomically(plan.folder / TABLE, "".join(f"{line}\n" for line in table).encode())
    caption = (
        f"{_epochs_text(plan)}. Tuning of the baselines, by the final test {metric.name}: {_tuning_text(plan)}. "
        f"Made by: infopace compare {plan.spec}"
    )
    content = report_fields(lines, plan.workload.name, metric, caption)
    write_atomically(plan.folder / REPORT, as_json(content))
    return [*table, f"folder: {plan.folder}", f"report: infopace report {plan.folder} {plan.folder}/runs/*"]


def _epochs_text(plan: ComparePlan) -> str:
    late = any(entry.as_ours for entry in plan.entries)
    ours = f", a baseline -as-ours as many as {plan.entries[0].name} on average" if late else ""
    return f"{plan.epochs} epochs each{ours}"


def _tuning_text(plan: ComparePlan) -> str:
    """Which learning rates were tried with how many seeds."""
    rates = (
        f"the rates {', '.join(f'{rate:g}' for rate in plan.rates)}" if plan.rates else "all rates of a grid"
    )
    seeds = len(plan.tuning_seeds)
    others = f", the best {plan.finalists} of them with {seeds} seeds" if seeds > 1 else ""
    return f"{rates} with one seed{others}; the table has other seeds"


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
