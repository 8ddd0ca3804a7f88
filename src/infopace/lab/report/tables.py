"""The tables of the runs: their results, why the rate moved, and how they were made."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from infopace.lab.moves import moves_of
from infopace.lab.report.charts import Entry
from infopace.lab.report.markup import Markup, table, tag
from infopace.lab.report.reading import Experiment, Method, Metric, Run
from infopace.pictures import Move, notable

_MOST_REASONS = 6  # a method


def swatch(entry: Entry) -> Markup:
    """A sample of the line, for legends."""
    dash = ("", "9 4", "9 3 2 3", "4 3")[entry.dash % 4] or None
    line = tag("path", d="M2 6H22", stroke=f"var(--c{entry.colour})", stroke_width=3, stroke_dasharray=dash)
    return tag("svg", line, viewBox="0 0 24 12", width=24, height=12, aria_hidden="true")


def results(experiment: Experiment) -> Markup:
    """A line for each method: how far its runs are, and the final and the best test metric."""
    head = ("method", "seeds", "epochs", f"final test {experiment.metric.name}", "best", "state")
    return table(head, [_result(method, experiment.metric) for method in experiment.methods])


def _result(method: Method, metric: Metric) -> Sequence[object]:
    trained = [run for run in method.runs if run.test]
    done = sorted({len(run.test) for run in method.runs})
    epochs = f"{done[0]} to {done[-1]}" if len(done) > 1 else str(done[0])
    planned = max(run.epochs for run in method.runs)
    finished = sum(run.finished for run in method.runs)
    state = "finished" if finished == len(method.runs) else f"{finished} of {len(method.runs)} finished"
    if len(method.runs) == 1 and not finished:
        state = "not finished"
    best = [run.test[metric.best(run.test)] for run in trained]
    return (
        method.name,
        ", ".join(str(run.seed) for run in method.runs),
        f"{epochs} of {planned}",
        over_seeds([run.test[-1] for run in trained], metric),
        over_seeds(best, metric),
        state,
    )


def over_seeds(values: Sequence[float], metric: Metric) -> str:
    """The value of one run, or the mean and range of several."""
    if not values:
        return "none yet"
    if len(values) == 1:
        return metric.show(values[0])
    low, high = (f"{value * metric.scale:.{metric.digits}f}" for value in (min(values), max(values)))
    return f"{metric.show(statistics.fmean(values))} ({low} to {high})"


def reasons(experiment: Experiment) -> Markup:
    """The largest moves of the first run of each method, with the reasons of the policy."""
    rows = [row for method in experiment.methods for row in _reasons(method)]
    if not rows:
        return Markup()
    head = ("method", "epoch", "layer", "learning rate", "why")
    return tag(
        "details",
        tag("summary", "Why the learning rate moved"),
        table(head, rows, "The largest moves of the first seed of each method."),
    )


def _reasons(method: Method) -> list[Sequence[object]]:
    run = method.runs[0]
    rows = [row for row in run.rows if row["decisions"] or not row["epoch"]]
    moves: list[Move] = []
    for g in range(len(run.groups) if len(rows) > 1 else 0):
        moves += moves_of(rows, g)
    chosen = notable(moves, _MOST_REASONS, span=run.epochs)
    return [
        (
            method.name,
            move.at + 1,
            ", ".join(dict.fromkeys(m.layer for m in moves if (m.at, m.lr) == (move.at, move.lr))),
            f"{move.lr:.3g}" if move.before is None else f"{move.before:.3g} → {move.lr:.3g}",
            tag("td", move.reason, class_="wide"),
        )
        for move in chosen
    ]


def provenance(experiment: Experiment) -> Markup:
    """Each run with its folder, duration, versions and hardware, so that its numbers can be traced."""
    rows = [_provenance(method, run) for method in experiment.methods for run in method.runs]
    head = ("run", "final", "best", "seconds", "folder", "started", "made with")
    return tag("details", tag("summary", f"Runs and how they were made ({len(rows)})"), table(head, rows))


def _provenance(method: Method, run: Run) -> Sequence[object]:
    best = run.metric.best(run.test) if run.test else 0
    seconds = sum(sum(row.get("seconds", {}).values()) for row in run.rows)
    versions = ", ".join(f"{name} {version}" for name, version in run.record.get("versions", {}).items())
    hardware = run.record.get("hardware", {})
    machine = hardware.get("gpu") or hardware.get("cpu") or ""
    commit = str(run.record.get("commit") or "")[:10]
    made_with = [
        versions,
        f"commit {commit}" if commit else "",
        machine,
        _count(run.record.get("threads"), "thread"),
    ]
    return (
        f"{method.name}, seed {run.seed}",
        run.metric.show(run.test[-1]) if run.test else "none yet",
        f"{run.metric.show(run.test[best])}, epoch {best + 1}" if run.test else "none yet",
        f"{seconds:.0f}",
        tag("td", tag("code", run.folder), class_="wide"),
        run.record.get("started", ""),
        tag("td", ", ".join(part for part in made_with if part), class_="wide"),
    )


def _count(number: object, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}" if number else ""
