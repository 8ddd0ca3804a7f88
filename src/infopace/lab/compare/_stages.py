"""The stages of a comparison: tuning in two rounds, the runs for the table, and the same with the epochs of ours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from infopace.lab.compare._bench import Bench, Say, bounds_text
from infopace.lab.compare._cells import Cell, Outcome, final_cells
from infopace.lab.compare._config import ComparePlan, Entry
from infopace.lab.compare._jobs import FoundBounds, Job, RangeTestJob, RunJob, found_bounds
from infopace.lab.compare._summary import Method
from infopace.lab.compare._tuning import Tuned, choose, tuning_cells

_NO_BOUNDS = FoundBounds({}, 0.0, 0.0)


@dataclass(frozen=True)
class Ended:
    """A method whose runs have ended, as far as they could be made.

    Attributes:
        entry: The method. One -as-ours has its number of epochs by now, if it could be known.
        choice: Its learning rate; None where there is none to choose.
        tunings: Its tuning runs.
        finals: Its runs for the table.
    """

    entry: Entry
    choice: Tuned | None = None
    tunings: tuple[Outcome, ...] = ()
    finals: tuple[Outcome, ...] = ()


def make_all(bench: Bench, plan: ComparePlan, say: Say) -> tuple[list[Ended], FoundBounds]:
    """Make the runs that are missing. The methods in their order, and what the range test found.

    A baseline -as-ours waits until the runs of the first method have ended.
    """
    tested = plan.bounds == "range-test" and any(entry.tested for entry in plan.entries)
    at_once = [entry for entry in plan.entries if not entry.as_ours]
    tunings = _tune(bench, at_once, plan, [RangeTestJob()] if tested else [], "tuning")
    found = (found_bounds(plan.folder) if tested else _NO_BOUNDS) or FoundBounds(
        {}, 0.0, 0.0, f"the range test failed: {bench.range_test_failure()}"
    )
    ended = _make_finals(bench, at_once, plan, tunings, found, "comparison")

    first, late = plan.entries[0].name, [entry for entry in plan.entries if entry.as_ours]
    epochs = mean_epochs(ended[first].finals) if late else None
    if epochs is None:
        ended |= {entry.name: Ended(entry) for entry in late}
    else:
        late = [dataclasses.replace(entry, epochs=epochs) for entry in late]
        say(f"-as-ours: {epochs} epochs, the mean length of the runs of {first}")
        for entry in late:
            for other, runs in bench.known_with_other_epochs(entry).items():
                say(
                    f"note: known runs of {entry.name} with {other} epochs instead of {epochs}, not used: {runs}"
                )
        tunings = _tune(bench, late, plan, [], "tuning -as-ours")
        ended |= _make_finals(bench, late, plan, tunings, found, "comparison -as-ours")
    return [ended[entry.name] for entry in plan.entries], found


def mean_epochs(outcomes: Sequence[Outcome]) -> int | None:
    """The mean length of the runs that finished, in whole epochs, a half rounded up.

    None where none finished, and while one is missing, which may be of another length.
    """
    lengths = [len(outcome.test) for outcome in outcomes if not outcome.failure]
    if not lengths or any(outcome.lost for outcome in outcomes):
        return None
    return max(1, math.floor(fmean(lengths) + 0.5))


def method_of(ended: Ended, first: Ended, found: FoundBounds, plan: ComparePlan, broken: str) -> Method:
    """The method for the table. `broken` says why the range test did not end; empty if it did."""
    entry, choice = ended.entry, ended.choice
    unverified = sum(not outcome.verified for outcome in ended.finals)
    notes = []
    if entry.epochs is not None:
        notes.append(f"{entry.epochs} epochs, the mean length of the runs of {first.entry.name}")
    if unverified:
        notes.append(
            f"{unverified} of {len(ended.finals)} runs come from rows that record neither data nor code"
        )
    if entry.baseline is None:
        if not entry.tested:
            return Method(entry.name, None, 0.0, 0.0, "; ".join(["found in the run", *notes]))
        text = f"bounds {bounds_text(found.bounds)}" if found.bounds else "the workload's bounds"
        note = "; ".join([found.failure or text, *notes])
        return Method(entry.name, None, found.seconds, found.epochs, note, missing=int(bool(broken)))
    if entry.as_ours and entry.epochs is None:
        lost = sum(outcome.lost for outcome in first.finals) or int(bool(broken))
        name = first.entry.name
        note = f"runs of {name} that are missing: {lost}" if lost else f"no run of {name} has finished"
        return Method(entry.name, None, 0.0, 0.0, f"its number of epochs is not known; {note}", missing=lost)
    if choice is None:
        return Method(entry.name, None, 0.0, 0.0, "; ".join(notes))
    if choice.missing:
        lost, one = len(choice.missing), choice.missing[0]
        notes = [
            f"incomplete, {lost} of {choice.runs} tuning runs are missing: {one.cell.title}: {one.failure}"
        ]
    elif choice.lr is None:
        notes = ["every learning rate failed"]
    elif choice.edge:
        notes = [choice.edge, *notes]
    cost = float(choice.runs * (entry.epochs or plan.epochs))
    return Method(entry.name, choice.lr, choice.seconds, cost, "; ".join(notes), missing=len(choice.missing))


def _tune(
    bench: Bench, entries: Sequence[Entry], plan: ComparePlan, before: Sequence[Job], what: str
) -> dict[str, list[Outcome]]:
    """The tuning runs of these methods, after the jobs `before`: all rates with the first seed, then the finalists."""
    cells: dict[str, list[Cell]] = {}
    tunings: dict[str, list[Outcome]] = {entry.name: [] for entry in entries}
    while True:
        wanted = {entry.name: tuning_cells(entry, plan, tunings[entry.name]) for entry in entries}
        new = [RunJob(cell) for name in wanted for cell in wanted[name] if cell not in cells.get(name, [])]
        if cells and not new:
            return tunings
        bench.run([*before, *new], f"{what}, finalists" if cells else what)
        cells, before = wanted, []
        tunings = {name: bench.outcomes(cells[name]) for name in cells}


def _make_finals(
    bench: Bench,
    entries: Sequence[Entry],
    plan: ComparePlan,
    tunings: Mapping[str, list[Outcome]],
    found: FoundBounds,
    what: str,
) -> dict[str, Ended]:
    """The runs of these methods for the table; none where a learning rate or bounds were not found."""
    metric = plan.workload.metric
    choices = {e.name: choose(tunings[e.name], e.grid, metric) if e.grid else None for e in entries}
    cells = {entry.name: _final_cells(entry, choices[entry.name], plan, found) for entry in entries}
    bench.run(
        [
            RunJob(cell, found.bounds if entry.tested else {})
            for entry in entries
            for cell in cells[entry.name]
        ],
        what,
    )
    return {
        e.name: Ended(e, choices[e.name], tuple(tunings[e.name]), tuple(bench.outcomes(cells[e.name])))
        for e in entries
    }


def _final_cells(entry: Entry, choice: Tuned | None, plan: ComparePlan, found: FoundBounds) -> list[Cell]:
    if choice is None:
        return [] if entry.tested and found.failure else final_cells(entry, None, plan)
    return [] if choice.lr is None else final_cells(entry, choice.lr, plan)
