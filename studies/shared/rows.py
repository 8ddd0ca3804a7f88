"""Rows of a study, each with the setting that it is the result of. A row that exists is not made again."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from infopace import Bounds, Policy, RangeTestError
from infopace.lab.config import OURS, TrainConfig
from infopace.lab.environment import hardware, versions
from infopace.lab.errors import Diverged
from infopace.lab.progress import Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from infopace.lab.workloads import find_workload
from infopace.scheduler import RollBack

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


def sweep_arguments(
    description: str, values: dict[str, tuple[float, ...]], seeds: int, horizons: tuple[str, ...]
) -> argparse.Namespace:
    """The command line of a study that changes constants: a workload, seeds, which constants, which horizons."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("workload")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3000, 3000 + seeds)))
    parser.add_argument("--constants", nargs="+", default=list(values), choices=list(values))
    parser.add_argument("--horizons", nargs="+", default=list(horizons), choices=horizons)
    return parser.parse_args()


def one_changed(
    arguments: argparse.Namespace,
    values: dict[str, tuple[float, ...]],
    standard: dict[str, float],
    needs_epochs: str = "",
) -> Iterator[Setting]:
    """The standard, and each constant changed alone. `needs_epochs` is changed only where the epochs are known."""
    for seed, horizon in itertools.product(arguments.seeds, arguments.horizons):
        changes = [{}, *({name: value} for name in arguments.constants for value in values[name])]
        for change in changes:
            if horizon == "known" or needs_epochs not in change:
                yield {"workload": arguments.workload, "horizon": horizon, "seed": seed, **standard, **change}


def trained(
    spec: str, bounds: Bounds | None, policy: Policy | None = None, **choices: Any
) -> list[dict[str, Any]]:
    """The rows of epochs.jsonl of `infopace train SPEC` on one thread, with these choices of its configuration.

    Without bounds a range test finds them first. With a policy, it decides instead of the method's.
    """
    rows, diverged = trained_or_not(spec, bounds, policy, **choices)
    if diverged:
        raise RuntimeError(f"the run of {spec} diverged after {len(rows)} rows")
    return rows


def trained_or_not(
    spec: str,
    bounds: Bounds | None,
    policy: Policy | None = None,
    *,
    roll_back: bool | RollBack | None = None,
    **choices: Any,
) -> tuple[list[dict[str, Any]], bool]:
    """As `trained`, and whether the run failed: it diverged, or its range test found no bounds."""
    limits: dict[str, float] = {}
    if bounds is not None:
        limits = {
            "lr_min": bounds.lr_min,
            "lr_max": bounds.lr_max,
            "lr_top": bounds.lr_top,
            "epsilon": bounds.epsilon,
        }
    with tempfile.TemporaryDirectory() as folder:
        command = TrainConfig(
            spec, threads=1, out=Path(folder) / "run", **limits, **{"method": OURS, **choices}
        )
        with contextlib.suppress(Diverged, RangeTestError):
            train(command, Silent(), picture=False, std_error=False, policy=policy, roll_back=roll_back)
        run = RunFolder(Path(folder) / "run")
        return run.read_rows(), run.read_json("summary.json") is None


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none where it does not exist."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tested_bounds(workload: str) -> Bounds:
    """The bounds that the range test of the comparison found, or those of the workload where it has no comparison."""
    for row in read(RESULTS / f"compare_{workload}.jsonl"):
        if row["part"] == "range test":
            return Bounds(row["lr_min"], row["lr_max"], row["lr_top"], row["epsilon"])
    return find_workload(workload).bounds
