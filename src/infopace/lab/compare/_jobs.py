"""The jobs of a worker: one run, or the range test that gives the paced methods their bounds."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

import infopace
from infopace import RangeTestError
from infopace.lab.bounds import bounds_of_plan, keep_result
from infopace.lab.compare._cells import Bounds, Cell, keep_divergence
from infopace.lab.compare._config import CompareConfig, ComparePlan, resolve_comparison
from infopace.lab.environment import set_determinism
from infopace.lab.errors import Diverged, InputError
from infopace.lab.files import parse_json, write_atomically
from infopace.lab.progress import Silent
from infopace.lab.range_config import RangePlan
from infopace.lab.run import train
from infopace.lab.run_folder import is_number
from infopace.lab.trial import load_tried

_FOUND = "bounds.json"
_REMEDY = "remove it, and the same command makes the range test again"
BOUNDS = ("lr_min", "lr_max", "lr_top", "epsilon")


@dataclass(frozen=True)
class RangeTestJob:
    """The range test, with the first tuning seed."""

    title: str = "range test"


@dataclass(frozen=True)
class RunJob:
    """One run. `bounds` are those of a paced method; {} stands for the workload's own."""

    cell: Cell
    bounds: Bounds = field(default_factory=dict, hash=False)

    @property
    def title(self) -> str:
        """For people."""
        return self.cell.title


Job = RangeTestJob | RunJob


@dataclass(frozen=True)
class FoundBounds:
    """The result of the range test: bounds as options of `infopace train`, or why there are none.

    `verified` is False where it comes from rows that do not record their data and code.
    """

    bounds: Bounds
    seconds: float
    epochs: float
    failure: str = ""
    verified: bool = True


def performer(config: CompareConfig, device: str) -> Callable[[Job], None]:
    """The function that a worker on this device calls for each of its jobs."""
    plan = resolve_comparison(config)  # a workload of a user's own file cannot be sent to a worker
    return functools.partial(perform, plan, device=device)


def perform(plan: ComparePlan, job: Job, device: str) -> None:
    """Do a job. Its result is in the folder of the comparison. Done again, it resumes or does nothing."""
    if isinstance(job, RangeTestJob):
        _test_range(plan, device)
        return
    folder = job.cell.folder(plan.folder)
    try:
        # The table shows no error bars of information, and they are most of the cost of a measurement.
        train(job.cell.command(plan, device, job.bounds), Silent(), picture=False, std_error=False)
    except Diverged as error:
        # The folder, named after the semicolon, is of no use in a table.
        keep_divergence(folder, str(error).partition(";")[0])
    drop_checkpoints(folder)


def drop_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished run. It needs none, and hundreds of them fill a disk."""
    for checkpoint in folder.glob("epoch-*.pt"):
        checkpoint.unlink(missing_ok=True)


def found_bounds(comparison: Path) -> FoundBounds | None:
    """The result of the range test of a comparison, None before it has ended.

    Raises InputError where the file is not what `keep_bounds` writes.
    """
    path = comparison / _FOUND
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; {_REMEDY}") from error
    found = found_in(content)
    if found is None:
        raise InputError(
            f"{path} must hold bounds that a range test found, got {str(content)[:60]}; {_REMEDY}"
        )
    return found


def found_in(content: object) -> FoundBounds | None:
    """The result of a range test from plain data; None where the data hold no such result."""
    names = {part.name for part in dataclasses.fields(FoundBounds)}
    if not isinstance(content, dict) or not names - {"failure", "verified"} <= content.keys() <= names:
        return None
    bounds, failure = content["bounds"], content.get("failure", "")
    if not (isinstance(failure, str) and isinstance(content.get("verified", True), bool)):
        return None
    if not all(is_number(content[cost]) and content[cost] >= 0 for cost in ("seconds", "epochs")):
        return None
    if not isinstance(bounds, dict) or not all(map(is_number, bounds.values())):
        return None
    if bounds.keys() != (set() if failure else set(BOUNDS)):
        return None
    try:
        _ = None if failure else infopace.Bounds(**bounds)
    except ValueError:
        return None
    return FoundBounds(**content)


def keep_bounds(found: FoundBounds, comparison: Path) -> None:
    """Record the result of the range test of a comparison."""
    write_atomically(comparison / _FOUND, f"{json.dumps(dataclasses.asdict(found))}\n".encode())


def _test_range(plan: ComparePlan, device: str) -> None:
    set_determinism(1, torch.device(device))
    data = load_tried(plan.workload, torch.device(device))
    test = RangePlan.before_training(
        plan.workload,
        plan.optimizer,
        plan.epochs,
        plan.tuning_seeds[0],
        torch.device(device),
        signal=plan.signal,
    )
    folder = plan.folder / "range-test"
    try:
        found = bounds_of_plan(test, data, folder)
    except RangeTestError as error:
        result = FoundBounds({}, 0.0, 0.0, f"the range test gives no bounds: {error}")
    else:
        keep_result(found, folder, plan.workload.name)
        bounds = dataclasses.asdict(found.bounds)
        result = FoundBounds(bounds, found.seconds, found.cost * plan.epochs)
    keep_bounds(result, plan.folder)
