"""`infopace measure`: two files of samples -> their mutual information, as lines to read or as JSON."""

from __future__ import annotations

import csv
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

from infopace import Estimate, mutual_information
from infopace.lab.errors import InputError
from infopace.lab.waiting import Waiting

PERMUTATIONS = 200
BOUNDS = ("linear-probe", "mine", "infonce", "smile")  # these have no p-value
_WHOLE = re.compile(r"[+-]?[0-9]+")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class MeasureConfig:
    """Measure the mutual information between the samples of two files, one sample a row.

    Files: .npy, .npz, .csv (a header line may be there), .parquet. One column of integers is labels; all else
    is a vector. In .csv, whole numbers that are no labels are written with a point: 3.0.
    """

    x: Annotated[Positional[Path], arg(metavar="X")]
    """File of x, or one .npz with the arrays x and y."""
    y: Annotated[
        Positional[Path | None], arg(metavar="Y", help_behavior_hint="(not needed with one .npz)")
    ] = None
    """File of y."""
    estimator: str = "auto"
    """auto | ross | calibrated | ksg1 | ksg2 | gao | gaussian | plug-in | linear-probe | mine | infonce | smile."""
    k: int = 3
    """Neighbours."""
    norm: Literal["euclidean", "chebyshev"] = "euclidean"
    """Distance inside x and inside y."""
    permutations: Annotated[
        int | None,
        arg(
            metavar="INT",
            help_behavior_hint=f"(default: {PERMUTATIONS}; 0 for bounds, which have no p-value)",
        ),
    ] = None
    """Random re-orderings of y for the p-value; 0: none."""
    json: bool = False
    """Print one JSON object, in which null stands for nan and for infinity."""


@dataclass(frozen=True)
class Samples:
    """What one file holds."""

    source: str
    values: np.ndarray

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self.values) if self.values.ndim else 1

    @property
    def columns(self) -> int:
        """Numbers a sample."""
        return self.values.size // max(self.rows, 1)

    @property
    def kind(self) -> str:
        """Labels (one column of integers) or a vector."""
        return "labels" if self.values.dtype.kind in "biu" else "vector"

    def __str__(self) -> str:
        kind = "labels" if self.kind == "labels" else f"vector of {self.columns}"
        return f"{self.source}: {self.rows} rows, {kind}"


def measure(config: MeasureConfig) -> tuple[str, ...]:
    """Run `infopace measure`; returns the lines to print. Raises InputError for what cannot be used."""
    x, y = read_pair(config.x, config.y)
    permutations = config.permutations
    if permutations is None:
        permutations = 0 if config.estimator in BOUNDS else PERMUTATIONS
    try:
        with Waiting(x.rows) as waiting:
            estimate = mutual_information(
                x.values,
                y.values,
                k=config.k,
                norm=config.norm,
                estimator=config.estimator,
                permutations=permutations,
                on_permutation=waiting.permutation,
            )
    except ValueError as error:
        raise InputError(str(error)) from error
    if config.json:
        return (json.dumps(_record(x, y, estimate, permutations), allow_nan=False),)
    return _table(x, y, estimate, permutations)


def read_pair(x: Path, y: Path | None) -> tuple[Samples, Samples]:
    """The samples of two files, or of one .npz with the arrays x and y."""
    if y is not None:
        return read_samples(x, "x"), read_samples(y, "y")
    _check_file(x)
    if x.suffix.lower() != ".npz":
        raise InputError(f"measure needs two files, or one .npz with the arrays x and y, got only {x}")
    arrays = _read(x, _npz)
    if not {"x", "y"} <= arrays.keys():
        raise InputError(f"{x} must hold the arrays x and y, got {_names(arrays)}")
    return _samples(f"{x}[x]", arrays["x"]), _samples(f"{x}[y]", arrays["y"])


def read_samples(path: Path, name: str) -> Samples:
    """The samples of one file; in an .npz the array `name`, or the only one."""
    _check_file(path)
    found = _read(path, _READERS[path.suffix.lower()])
    if isinstance(found, dict):
        if name not in found and len(found) != 1:
            raise InputError(f"{path} must hold the array {name} or a single one, got {_names(found)}")
        found = found[name] if name in found else next(iter(found.values()))
    return _samples(str(path), found)


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in _READERS:
        raise InputError(f"{path} must end in one of {', '.join(_READERS)}, got {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path} must be a file, got a folder" if path.is_dir() else f"no file {path}")


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    """What the reader finds; whatever goes wrong inside a file's format becomes one line with its name."""
    try:
        return reader(path)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path} must hold numbers, got Python objects, which only pickle reads, and that can run code"
            ) from error
        raise InputError(f"{path} is no readable {path.suffix.lower()} file: {error}") from error


def _samples(source: str, values: np.ndarray) -> Samples:
    """One column of integers stays integer, which is labels; several are a vector."""
    kind = values.dtype.kind
    if kind not in "biufc":
        raise InputError(f"{source} must hold numbers, got dtype {values.dtype}")
    several = values.ndim > 0 and values.size != len(values)
    if (kind in "biu" and several) or (kind == "f" and values.dtype.itemsize > 8):
        values = values.astype(np.float64)
    return Samples(source, values)


def _npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _npz(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no readable .npz file: it is no zip archive")
    with np.load(path, allow_pickle=False) as archive:
        return {name: np.asarray(archive[name]) for name in archive.files}


def _csv(path: Path) -> np.ndarray:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        del lines[0]  # the header
    if not lines:
        raise InputError(f"{path} must have a line of numbers, got none")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise InputError(f"{path}, line {number}: {width} cells are needed, as before, got {len(row)}")
        for column, cell in enumerate(row, 1):
            if not _is_number(cell):
                raise InputError(f"{path}, line {number}, column {column}: a number is needed, got {cell!r}")
    if width == 1 and all(_WHOLE.fullmatch(row[0]) for _, row in lines):
        try:
            return np.array([int(row[0]) for _, row in lines], dtype=np.int64)
        except OverflowError:
            raise InputError(f"{path}: labels must be within 64 bits, got a larger whole number") from None
    return np.array([[float(cell) for cell in row] for _, row in lines])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python's own 1_000


def _parquet(path: Path) -> np.ndarray:
    import pyarrow  # takes its time, and only this format needs it
    from pyarrow import parquet

    table = parquet.ParquetFile(path).read()
    names = [name for name in table.column_names if not _PANDAS_INDEX.fullmatch(name)]
    if not names:
        raise InputError(f"{path} must have a column of numbers, got none")
    columns: list[np.ndarray] = []
    for name in names:
        column = table.column(name)
        kinds = pyarrow.types
        if not any(fits(column.type) for fits in (kinds.is_integer, kinds.is_floating, kinds.is_boolean)):
            raise InputError(f"{path}, column {name!r} must hold numbers, got {column.type}")
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise InputError(f"{path}, row {row}, column {name!r}: a number is needed, got a missing value")
        columns.append(column.to_numpy())
    if len(columns) == 1:
        return columns[0]
    return np.column_stack([column.astype(np.float64) for column in columns])


_READERS: dict[str, Callable[[Path], Any]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _names(arrays: dict[str, np.ndarray]) -> str:
    return ", ".join(arrays) or "none"


def _record(x: Samples, y: Samples, estimate: Estimate, permutations: int) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def described(samples: Samples) -> dict[str, Any]:
        return {f: getattr(samples, f) for f in ("source", "kind", "rows", "columns")}

    return {
        "nats": finite(estimate.nats),
        "std_error": finite(estimate.std_error),
        "bias": finite(estimate.bias),
        "interval": [finite(end) for end in estimate.interval],
        "clipped": finite(estimate.clipped),
        "ceiling": finite(estimate.ceiling),
        "p_value": finite(estimate.p_value),
        "permutations": permutations,
        "n": estimate.n,
        "method": estimate.method,
        "choice": estimate.choice,
        "k": estimate.k,
        "norm": estimate.norm,
        "warnings": [{"kind": caution.kind, "sentence": caution.sentence} for caution in estimate.warnings],
        "x": described(x),
        "y": described(y),
    }


def _table(x: Samples, y: Samples, estimate: Estimate, permutations: int) -> tuple[str, ...]:
    error = "without error bar" if math.isnan(estimate.std_error) else f"± {estimate.std_error:.4f}"
    low, high = estimate.interval
    interval = "not computed" if math.isnan(low) else f"{low:.4f} to {high:.4f} nats"
    limit = f"ceiling {estimate.ceiling:.4f}" if math.isfinite(estimate.ceiling) else "no ceiling"
    p = "not computed"
    if not math.isnan(estimate.p_value):
        p = f"{estimate.p_value:.4g} by {permutations} permutations"
        if estimate.method == "calibrated":
            p += " of the neighbour estimate (ksg1)"
    method = estimate.choice or f"{estimate.method}: named by --estimator"
    if estimate.k:
        method += f" (k = {estimate.k}, {estimate.norm})"
    rows = [
        ("x", str(x)),
        ("y", str(y)),
        ("I(X;Y)", f"{estimate.nats:.4f} {error} nats"),
        ("95 %", interval),
        ("clipped", f"{estimate.clipped:.4f} nats, {limit}"),
        ("p-value", p),
        ("n", f"{estimate.n} rows"),
        ("method", method),
        *(("warning", caution.sentence) for caution in estimate.warnings),
    ]
    return tuple(f"{name:<9}{text}" for name, text in rows)
