"""From run folders to what the report shows: runs, grouped by workload and by method. It only reads."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from infopace.lab.errors import InputError
from infopace.lab.report.diagnosed import check_diagnostics
from infopace.lab.report.json_fields import read_json
from infopace.lab.report.range_tests import RangeTest, holds_test, read_range_test
from infopace.lab.report.scoreboards import Scoreboard
from infopace.lab.report.sections import Comparison
from infopace.lab.run_folder import Row, RunFolder

_Key = TypeVar("_Key")

TEST_BEFORE = "range-test"  # where `infopace train` keeps the range test before the run
COMPARISON_FILE = "comparison.json"
# Settings that do not distinguish two methods, or are shown elsewhere.
_NOT_OF_THE_METHOD = ("workload", "method", "layer_wise", "seed", "device", "diagnostics")
# Fields that are missing in the rows of a method without information.
_NOT_MEASURED: dict[str, Any] = {"information": {}, "reference": None, "decisions": [], "held_out": {}}


@dataclass(frozen=True)
class Metric:
    """The test metric. A value in a row times `scale` is in `unit`."""

    name: str
    unit: str
    scale: float
    higher_is_better: bool

    @property
    def digits(self) -> int:
        """Number of decimals; the same as on the terminal."""
        return 2 if self.scale == 100.0 else 3

    def show(self, value: float) -> str:
        """A value of a row with its unit: '98.61 %'."""
        return f"{value * self.scale:.{self.digits}f} {self.unit}".rstrip()

    def best(self, values: Sequence[float]) -> int:
        """The position of the best value, the first of equal ones."""
        return values.index(max(values) if self.higher_is_better else min(values))


@dataclass(frozen=True)
class Run:
    """One run folder, finished or not."""

    folder: str
    record: dict[str, Any]
    rows: tuple[Row, ...]
    finished: bool
    metric: Metric

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that affect the numbers."""
        return self.record["settings"]

    @property
    def workload(self) -> str:
        """The workload's name."""
        return str(self.settings["workload"])

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.settings["seed"])

    @property
    def epochs(self) -> int:
        """The planned number of epochs."""
        return int(self.settings["epochs"])

    @property
    def lr_min(self) -> float | None:
        """The lower bound of the rate, None for a baseline."""
        bounds = self.record.get("bounds")
        return None if bounds is None else float(bounds["lr_min"])

    @property
    def groups(self) -> tuple[str, ...]:
        """The layer of each parameter group, or the name of the only group."""
        return tuple(str(name) for name in self.record["groups"])

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose information was measured."""
        return tuple(self.rows[0]["information"]) if self.rows else ()

    @property
    def trained(self) -> tuple[Row, ...]:
        """The rows of epochs 1, 2, .. Epoch 0 is the untrained network."""
        return self.rows[1:]

    @property
    def test(self) -> list[float]:
        """The test metric after epochs 1, 2, .."""
        return [row["test"] for row in self.trained]


@dataclass(frozen=True)
class Method:
    """Runs that differ only in the seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def layer_wise(self) -> bool:
        """Whether each layer has a learning rate of its own."""
        return len(self.runs[0].groups) > 1


@dataclass(frozen=True)
class Experiment:
    """All runs of one workload."""

    workload: str
    metric: Metric
    methods: tuple[Method, ...]

    @property
    def epochs(self) -> int:
        """The planned number of epochs of the longest run."""
        return max(run.epochs for method in self.methods for run in method.runs)


@dataclass(frozen=True)
class Contents:
    """Everything that was found in the folders. `refused` has a line for each folder that is left out."""

    experiments: tuple[Experiment, ...]
    range_tests: tuple[RangeTest, ...]
    comparisons: tuple[Comparison, ...]
    scoreboards: tuple[Scoreboard, ...] = ()
    refused: tuple[str, ...] = ()


def read_folders(folders: Sequence[Path]) -> Contents:
    """Read run folders with the range tests before them, and folders of range tests and comparisons.

    A folder that is missing, empty, damaged, or holds none of these is left out and named. Raises InputError where no
    other is left.
    """
    if not folders:
        raise InputError("report needs at least one run folder, got none")
    runs: list[Run] = []
    range_tests: dict[Path, RangeTest] = {}
    comparisons: list[Comparison] = []
    scoreboards: list[Scoreboard] = []
    refused: list[str] = []
    for folder in {path.resolve(): path for path in folders}.values():  # a folder named twice counts once
        try:
            run, tests, comparison, scoreboard = _read_folder(folder)
        except InputError as error:
            refused.append(str(error))
            continue
        runs += [] if run is None else [run]
        range_tests |= tests
        comparisons += [] if comparison is None else [comparison]
        scoreboards += [] if scoreboard is None else [scoreboard]
    if not (runs or range_tests or comparisons or scoreboards):
        raise InputError("; ".join(refused))
    parts = tuple(range_tests.values()), tuple(comparisons), tuple(scoreboards), tuple(refused)
    return Contents(_experiments(runs), *parts)


def _read_folder(
    folder: Path,
) -> tuple[Run | None, dict[Path, RangeTest], Comparison | None, Scoreboard | None]:
    """Everything that one folder holds. Raises InputError where a part is damaged."""
    _check_folder(folder)
    record = RunFolder(folder).read_json("run.json")
    run = None if record is None or holds_test(folder) else _read_run(folder, record)
    tests = {
        place.resolve(): found
        for place in (folder, folder / TEST_BEFORE)
        if (found := read_range_test(place)) is not None
    }
    content = read_json(folder / COMPARISON_FILE)
    comparison = None if content is None else Comparison.from_json(f"{folder / COMPARISON_FILE}", content)
    scoreboard = Scoreboard.from_folder(folder)
    if run is None and not tests and comparison is None and scoreboard is None:
        raise InputError(f"{folder} must hold a run, and has no readable run.json{_hint(folder)}")
    return run, tests, comparison, scoreboard


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise InputError(f"no folder {folder}")
    if not folder.is_dir():
        raise InputError(f"a run folder is needed, got the file {folder}")
    try:
        empty = not any(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror}") from error
    if empty:
        raise InputError(f"{folder} must hold a run, and is empty")


def _hint(folder: Path) -> str:
    inside = sorted(path.parent.name for path in folder.glob("*/run.json"))
    return f"; for the runs inside it, name them: {folder}/*" if inside else ""


def _read_run(path: Path, record: dict[str, Any]) -> Run:
    folder = RunFolder(path)
    try:
        metric = record["metric"]
        run = Run(
            folder=str(path),
            record=record,
            rows=tuple({**_NOT_MEASURED, **row} for row in folder.read_rows()),
            finished=folder.read_json("summary.json") is not None,
            metric=Metric(
                str(metric["name"]),
                str(metric["unit"]),
                float(metric["scale"]),
                bool(metric["higher_is_better"]),
            ),
        )
        _check(run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} holds no run of infopace train: a part of it {what}") from error
    return run


def _check(run: Run) -> None:
    """Check every field that the report uses. Raises KeyError, TypeError or ValueError."""
    if run.epochs < 1 or run.seed < 0 or not run.groups:
        raise ValueError("must have epochs >= 1, seed >= 0 and a parameter group, and has not")
    if run.lr_min is not None and not 0 < run.lr_min < math.inf:
        raise ValueError(f"must have lr_min > 0, and has {run.lr_min}")
    for row in run.rows:
        numbers = [row["test"], *row["lr"], *row["held_out"].values()]
        for layer in run.layers:
            found = row["information"][layer]
            numbers += [found["nats"], found["std_error"] or 0.0, found["decoder"] or 0.0]
        if row["information"] and row["reference"] is not None:
            numbers.append(row["reference"])
        if row["epoch"] and len(row["lr"]) != len(run.groups):
            raise ValueError(f"must have a learning rate for each group, and has not in epoch {row['epoch']}")
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            raise ValueError(f"must hold finite numbers, and does not in epoch {row['epoch']}")
        if any(lr <= 0 for lr in row["lr"]):
            raise ValueError(f"must have learning rates > 0, and has not in epoch {row['epoch']}")
        for decision in row["decisions"]:
            _ = float(decision["lr"]), decision["phase"], decision["reason"], decision["layer"]
        check_diagnostics(row)


# Grouping


def _experiments(runs: Sequence[Run]) -> tuple[Experiment, ...]:
    by_workload = _grouped(runs, lambda run: (run.workload, run.metric))
    return tuple(
        Experiment(workload, metric, tuple(_methods(members)))
        for (workload, metric), members in by_workload.items()
    )


def _methods(runs: Sequence[Run]) -> list[Method]:
    """Group by everything but the seed. Methods of the same name get the settings that differ behind their name."""
    methods: list[Method] = []
    for base, namesakes in _grouped(runs, _base_name).items():
        variants = _grouped(namesakes, lambda run: json.dumps(_own_settings(run), sort_keys=True))
        settings = [_own_settings(members[0]) for members in variants.values()]
        names = dict.fromkeys(name for one in settings for name in one)
        differ = [name for name in names if len({repr(one.get(name)) for one in settings}) > 1]
        for members, own in zip(variants.values(), settings, strict=True):
            details = "".join(f", {name} {own.get(name)}" for name in differ)
            methods.append(Method(base + details, tuple(sorted(members, key=lambda run: run.seed))))
    return methods


def _base_name(run: Run) -> str:
    kind = "layer-wise" if run.settings.get("layer_wise") else "global"
    return str(run.settings.get("method") or kind)


def _own_settings(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.settings.items() if name not in _NOT_OF_THE_METHOD}


def _grouped(runs: Sequence[Run], key: Callable[[Run], _Key]) -> dict[_Key, list[Run]]:
    """Runs by key, in their order."""
    groups: dict[_Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups
