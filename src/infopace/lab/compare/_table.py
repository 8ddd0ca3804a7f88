"""The table of a comparison as text."""

from __future__ import annotations

from collections.abc import Sequence

from infopace.lab.compare._summary import Line, Reached
from infopace.lab.tasks import Metric


def table_lines(lines: Sequence[Line], metric: Metric, *, times: bool = True) -> list[str]:
    """A Markdown table with a row for each method. Without `times` it has no column that depends on the machine."""
    levels = [reached.level for reached in lines[0].levels]
    head = [
        "method",
        "rate",
        "n",
        f"test {metric.name}",
        "95 % interval",
        "p (Holm)",
        "best of 3",
        "epochs",
        "tuning, epochs",
    ]
    head += [f"epochs to {metric.show(level)}" for level in levels]
    if times:
        head += ["seconds a run", "tuning, s"]
    rows = [head, *(_cells(line, metric, times) for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    notes = [f"{line.method}: {line.note}" for line in lines if line.note]
    return [f"| {text[0]} |", f"|{rule}|", *(f"| {row} |" for row in text[1:]), *notes]


def _cells(line: Line, metric: Metric, times: bool) -> list[str]:
    if line.mean is None:
        shown = ["incomplete" if line.missing else "failed" if line.failed else "not run", "", ""]
    else:
        ends = "" if line.interval is None else " to ".join(_number(end, metric) for end in line.interval)
        shown = [metric.show(line.mean), ends, p_text(line.p)]
    cells = [
        line.method,
        "" if line.lr is None else f"{line.lr:g}",
        str(line.n),
        *shown,
        "" if line.papers is None else metric.show(line.papers),
        "" if line.epochs is None else f"{round(line.epochs, 1):g}",
        f"{line.tuning_epochs:.0f}",
        *(_reached(reached, line.n + line.failed, times) for reached in line.levels),
    ]
    if times:
        cells += ["" if line.seconds is None else f"{line.seconds:.1f}", f"{line.tuning_seconds:.0f}"]
    return cells


def _number(value: float, metric: Metric) -> str:
    return metric.show(value).removesuffix(metric.unit).rstrip()


def p_text(p: float | None) -> str:
    """A p-value for a table; empty where there was no test."""
    return "" if p is None else "< .001" if p < 0.001 else f"{p:.2g}"


def _reached(reached: Reached, runs: int, times: bool) -> str:
    if reached.epochs is None or reached.seconds is None:
        return "never" if runs else ""
    clock = f", {reached.seconds:.3g} s" if times else ""
    return f"{reached.epochs:.1f}{clock}" + ("" if reached.runs == runs else f" ({reached.runs} of {runs})")
