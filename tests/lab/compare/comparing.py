"""Runs a small comparison in a folder, for the tests of comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infopace.lab.compare import CompareConfig, compare

FILE = Path(__file__).parent.with_name("own.py")
OWN = f"{FILE}:MINE"
METHODS = ("vasudevan-2020", "sgd-cosine")
OPTIONS: dict[str, Any] = {"bounds": "workload", "seeds": 2, "jobs": 1}


def run(out: Path, *methods: str, workload: str = OWN, **options: Any) -> tuple[list[str], list[str]]:
    """The lines while it ran, and the last ones."""
    said: list[str] = []
    config = CompareConfig(workload, methods or METHODS, out=out, **{**OPTIONS, **options})
    return said, compare(config, said.append)


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows but for how long they took."""
    found = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in found:
        row.pop("seconds", None)
    return found


def cells_of(lines: list[str]) -> dict[str, list[str]]:
    """The cells of a table by the name of the method."""
    found = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|"))
    return {cells[0]: cells for cells in found}
