"""Rows of a benchmark, each with the setting that it is the result of; what is there already is not made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from infopace import Bounds
from infopace.lab.environment import hardware, versions
from infopace.lab.workloads import find_workload

RESULTS = Path(__file__).resolve().parents[2] / "results"
Setting = dict[str, Any]


def make_missing(name: str, settings: Iterable[Setting], run: Callable[[Setting], dict[str, Any]]) -> None:
    """Run each setting that results/NAME.jsonl has no row of, and append its row."""
    path = RESULTS / f"{name}.jsonl"
    done = [row["setting"] for row in read(path)]
    for setting in settings:
        if setting in done:
            continue
        row = {"setting": setting, **run(setting)}
        row |= {"versions": versions(), "hardware": hardware(torch.device("cpu"))}
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
        last = f"{row['test'][-1]:.4f}" if row["test"] else "diverged"
        print(f"{setting}: {last} after {row['epochs']} epochs", flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none where it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tested_bounds(workload: str) -> Bounds:
    """Those that the range test of the comparison found; of a workload without one, its own."""
    for row in read(RESULTS / f"compare_{workload}.jsonl"):
        if row["part"] == "range test":
            return Bounds(row["lr_min"], row["lr_max"], row["lr_top"], row["epsilon"])
    return find_workload(workload).bounds
