"""The parts of the results page: rows from results/, sections, tables."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> list[dict[str, Any]]:
    """The rows of results/<name>.jsonl."""
    return [json.loads(line) for line in (ROOT / "results" / f"{name}.jsonl").read_text().splitlines()]


def workload_of(rows: list[dict[str, Any]]) -> Workload:
    """The workload of these rows."""
    return find_workload(rows[0]["workload"])


def section(title: str, command: str, text: str) -> str:
    """A heading, the command that made the rows, and the text."""
    return f"## {title}\n\nFrom {command}.\n\n{text}\n"


def table(head: list[str], rows: Iterable[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean(values: Iterable[float | str]) -> str:
    """The mean to three places."""
    value = statistics.fmean(float(value) for value in values)
    return "not a number" if math.isnan(value) else f"{value:.3f}"


def percent(share: float) -> str:
    """A share in per cent, to one decimal."""
    return f"{100 * share:.1f} %"
