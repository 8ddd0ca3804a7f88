"""The tables of `infopace compare`. results/compare_WORKLOAD.jsonl is the rows.jsonl of its folder."""

from __future__ import annotations

from typing import Any

from infopace.lab.compare import DEFAULT_METHODS, Line, Method, Outcome, choose, summarise, table_lines
from studies.shared.page import ROOT, read, section, workload_of


def comparisons() -> str:
    """A section for each workload that has rows."""
    parts = []
    for path in sorted((ROOT / "results").glob("compare_*.jsonl")):
        rows = read(path.stem)
        workload = workload_of(rows)
        lines = lines_of(rows)
        text = "\n".join(_blocks(table_lines(lines, workload.metric)))
        seeds = max(line.n + line.failed for line in lines)
        parts.append(
            section(
                f"Comparison: {workload.name}, {rows[0]['epochs']} epochs",
                f"`infopace compare {workload.name}{_methods(rows)} --seeds {seeds}`{_added(rows)},"
                f" its rows.jsonl; p is against {lines[0].method}; how to read it: [Comparisons](how-to/compare.md)",
                text,
            )
        )
    return "\n".join(parts)


def lines_of(rows: list[dict[str, Any]]) -> list[Line]:
    """The lines of the table, as the command made them."""
    workload = workload_of(rows)
    tested = next((row for row in rows if row["part"] == "range test"), None)
    runs = [row for row in rows if row["part"] != "range test"]
    names = list(dict.fromkeys(row["method"] for row in runs if row["part"] == "test"))
    # The default rule comes first where it was compared; p is against the first.
    names.sort(key=lambda name: name != DEFAULT_METHODS[0])
    methods, outcomes = [], {}
    for name in names:
        tuning = [Outcome.from_row(row) for row in runs if row["method"] == name and row["part"] == "tuning"]
        outcomes[name] = [
            Outcome.from_row(row) for row in runs if row["method"] == name and row["part"] == "test"
        ]
        if tuning:
            grid = sorted({outcome.cell.lr for outcome in tuning if outcome.cell.lr is not None})
            choice = choose(tuning, grid, workload.metric)
            epochs = float(len(tuning) * rows[0]["epochs"])
            methods.append(Method(name, choice.lr, choice.seconds, epochs, choice.edge))
        elif tested is not None and _has_bounds(name):
            methods.append(Method(name, None, tested["seconds"], tested["cost_epochs"], ""))
        else:
            methods.append(Method(name, None, 0.0, 0.0, ""))
    return summarise(methods, outcomes, workload.metric, workload.levels)


def _has_bounds(name: str) -> bool:
    return name.startswith(("hold-and-decay", "vasudevan", "wang"))


def _methods(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(row["method"] for row in rows if row["part"] == "test"))
    return "" if set(DEFAULT_METHODS) <= set(names) else f" --methods {' '.join(names)}"


def _added(rows: list[dict[str, Any]]) -> str:
    """The methods that were added to those of the command without `--methods`."""
    names = list(dict.fromkeys(row["method"] for row in rows if row["part"] == "test"))
    more = " ".join(name for name in names if name not in DEFAULT_METHODS)
    return f", `{more}` added with `--known`" if more and set(DEFAULT_METHODS) <= set(names) else ""


def _blocks(lines: list[str]) -> list[str]:
    """The table, and below it its notes as a list."""
    rows = [line for line in lines if line.startswith("|")]
    notes = [f"- {line}" for line in lines if not line.startswith("|")]
    return [*rows, "", *notes] if notes else rows
