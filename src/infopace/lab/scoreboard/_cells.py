"""The cells of a scoreboard: range tests and runs, each with the row that it leaves behind."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTestError
from infopace.lab.batches import set_aside
from infopace.lab.bounds import bounds_of_plan
from infopace.lab.config import TrainConfig
from infopace.lab.environment import set_determinism
from infopace.lab.errors import Diverged, InputError
from infopace.lab.files import parse_json, write_atomically
from infopace.lab.identity import differing
from infopace.lab.optimizers import find_recipe
from infopace.lab.progress import Silent
from infopace.lab.range_config import RangePlan
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder, is_number
from infopace.lab.scoreboard._suite import LIMIT, Contestant, Member
from infopace.lab.trial import load_tried

Row = dict[str, Any]
_ROW = "row.json"
_DIGITS = 6


@dataclass(frozen=True)
class RangeCell:
    """The range test before a paced run. Paced methods with the same optimizer share it."""

    member: Member
    optimizer: str | None
    seed: int

    @property
    def key(self) -> tuple[str, str, float | None, int]:
        """What a row of it is known by."""
        return self.member.spec, f"range test, {self.optimizer}", None, self.seed

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.member.name}: range test over {self.optimizer}, seed {self.seed}"

    def folder(self, board: Path) -> Path:
        """Its folder."""
        return board / "range-tests" / f"{self.member.name}-{self.optimizer}-seed{self.seed}"


@dataclass(frozen=True)
class RunCell:
    """One run: a method on a workload. `lr` is None where the method has one configuration."""

    member: Member
    contestant: Contestant
    lr: float | None
    seed: int

    @property
    def key(self) -> tuple[str, str, float | None, int]:
        """What a row of it is known by."""
        return self.member.spec, self.contestant.name, self.lr, self.seed

    @property
    def title(self) -> str:
        """For people."""
        rate = "" if self.lr is None else f", rate {self.lr:g}"
        return f"{self.member.name}: {self.contestant.name}{rate}, seed {self.seed}"

    @property
    def before(self) -> RangeCell | None:
        """The range test that it needs."""
        if not self.contestant.wants_test:
            return None
        return RangeCell(self.member, self.contestant.optimizer, self.seed)

    def folder(self, board: Path) -> Path:
        """Its folder."""
        rate = "" if self.lr is None else f"-lr{self.lr:g}"
        name = self.contestant.name
        return board / "runs" / f"{self.member.name}-{name}{rate}-seed{self.seed}"

    def command(self, board: Path, bounds: Mapping[str, float]) -> TrainConfig:
        """The `infopace train` of the run."""
        return TrainConfig(
            workload=self.member.spec,
            method=self.contestant.method,
            optimizer=self.contestant.optimizer,
            signal=self.contestant.signal,
            bounds=self.contestant.bounds if self.contestant.paced else "auto",
            lr=self.lr,
            lr_min=bounds.get("lr_min"),
            lr_max=bounds.get("lr_max"),
            lr_top=bounds.get("lr_top"),
            epsilon=bounds.get("epsilon"),
            validation=self.member.validation,
            epochs=self.contestant.epochs(self.member),
            budget=self.member.epochs if self.contestant.budgets == LIMIT else None,
            seed=self.seed,
            threads=1,
            out=self.folder(board),
        )


Cell = RangeCell | RunCell


def read_row(cell: Cell, board: Path, inputs: Mapping[str, Any]) -> Row | None:
    """The row of a cell that has ended; None before. Raises InputError where it is of another suite."""
    path = cell.folder(board) / _ROW
    try:
        row = parse_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return None  # it is made again
    if not is_row(row) or key_of(row) != cell.key:
        return None
    if differences := differing(inputs, row["inputs"]):
        raise InputError(f"{path} is of another suite: {differences}; remove it or choose another --out")
    return row


def key_of(row: Row) -> tuple[str, str, float | None, int]:
    """The key of the cell that left this row."""
    return row["workload"], row["method"], row["lr"], row["seed"]


def is_row(row: object) -> bool:
    """Whether it is a row of a scoreboard."""
    if not isinstance(row, dict) or not isinstance(row.get("inputs"), dict):
        return False
    texts = all(isinstance(row.get(name), str) for name in ("workload", "method", "failure"))
    numbers = is_number(row.get("seed")) and (row.get("lr") is None or is_number(row["lr"]))
    numbers &= is_number(row.get("load", 1.0))
    if not (texts and numbers):
        return False
    if "bounds" in row:
        return (
            isinstance(row["bounds"], dict) and is_number(row.get("steps")) and is_number(row.get("seconds"))
        )
    curves = [row.get(name) for name in ("test", "validation", "batches", "train", "measure")]
    return all(isinstance(curve, list) and all(map(is_number, curve)) for curve in curves) and (
        len({len(curve) for curve in curves if isinstance(curve, list)}) == 1
    )


def perform(cell: Cell, board: Path, inputs: Mapping[str, Any], bounds: Mapping[str, float]) -> None:
    """Do a cell and keep its row. Done again, it resumes or does nothing."""
    head = dict(zip(("workload", "method", "lr", "seed"), cell.key, strict=True))
    clock, processor = time.perf_counter(), time.process_time()
    row = _tested(cell, board) if isinstance(cell, RangeCell) else _run(cell, board, bounds)
    # A run has one thread. What it waited for others on a busy machine is no cost of its method.
    load = (time.perf_counter() - clock) / max(time.process_time() - processor, 1e-9)
    content = json.dumps({**head, **row, "load": round(max(load, 1.0), 3), "inputs": dict(inputs)})
    write_atomically(cell.folder(board) / _ROW, f"{content}\n".encode())
    for checkpoint in cell.folder(board).glob("epoch-*.pt"):  # hundreds of them fill a disk
        checkpoint.unlink(missing_ok=True)


def _tested(cell: RangeCell, board: Path) -> Row:
    device = torch.device("cpu")
    set_determinism(1, device)
    workload = cell.member.workload
    data = set_aside(load_tried(workload, device), cell.member.validation, workload.probe_size)
    optimizer = find_recipe(cell.optimizer, workload.optimizer)
    plan = RangePlan.before_training(workload, optimizer, cell.member.epochs, cell.seed, device)
    folder = cell.folder(board)
    try:
        found = bounds_of_plan(plan, data, folder / "trials")
    except RangeTestError as error:
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "bounds": {},
            "steps": 0,
            "seconds": 0.0,
            "failure": f"the range test gives no bounds: {error}",
        }
    bounds = dataclasses.asdict(found.bounds)
    return {"bounds": bounds, "steps": found.steps, "seconds": round(found.seconds, 3), "failure": ""}


def _run(cell: RunCell, board: Path, bounds: Mapping[str, float]) -> Row:
    failure = ""
    try:
        # No table shows error bars of information, and they are most of the cost of a measurement.
        train(cell.command(board, bounds), Silent(), picture=False, std_error=False)
    except Diverged as error:
        # The folder, named after the semicolon, is of no use in a table.
        failure = str(error).partition(";")[0]
    rows = RunFolder(cell.folder(board)).read_rows()[1:]
    return {
        "failure": failure,
        "test": [round(row["test"], _DIGITS) for row in rows],
        "validation": [round(row["validation"], _DIGITS) for row in rows],
        "batches": [row["batches"] for row in rows],
        "train": [round(row["seconds"]["train"], 4) for row in rows],
        "measure": [round(row["seconds"]["measure"], 4) for row in rows],
    }
