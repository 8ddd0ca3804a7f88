"""`infopace measure`: two files of samples -> their mutual information, as a table or as JSON."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

from infopace import Estimate, mutual_information
from infopace.estimators import Caution
from infopace.lab.arrays import names_in, read_member, read_npy
from infopace.lab.errors import InputError
from infopace.lab.tables import Header, Missing, Table, read_csv, read_parquet
from infopace.lab.waiting import Waiting

PERMUTATIONS = 200
BOUNDS = ("linear-probe", "mine", "infonce", "smile")  # they have no p-value
_SUFFIXES = (".npy", ".npz", ".csv", ".parquet")


@dataclass(frozen=True)
class MeasureConfig:
    """Measure the mutual information between the samples of two files, one example a row.

    Files: .npy, .npz, .csv, .parquet. A single column of integers or of text is labels; all else is a vector. In
    .csv, write whole numbers that are no labels with a point: 3.0. An index that pandas wrote is left out.
    """

    x: Annotated[Positional[Path], arg(metavar="X")]
    """File of x, or one .npz with the arrays x and y."""
    y: Annotated[
        Positional[Path | None], arg(metavar="Y", help_behavior_hint="(not needed with one .npz)")
    ] = None
    """File of y."""
    estimator: str = "auto"
    """auto | ross | calibrated | ksg1 | ksg2 | gao | gaussian | plug-in | adjusted | linear-probe | mine | infonce |
    smile."""
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
    missing: Missing = "refuse"
    """Refuse missing values, or drop the examples that lack one in x or in y."""
    header: Header = "auto"
    """Whether the first line of each .csv holds names; auto: decided by what the file holds."""
    json: bool = False
    """Print one JSON object; nan and infinity are null in it."""


@dataclass(frozen=True)
class Samples:
    """The samples of one file.

    Attributes:
        source: The file, and for an .npz the array in it.
        values: (n,) or (n, d) numbers, or (n,) labels.
        notes: What was not taken as data, in sentences.
        headed: Whether the file has a header for certain; only a .csv can have one.
        doubtful: The first line, where it may be a header or an example. Else empty.
        path: The file.
    """

    source: str
    values: np.ndarray
    notes: tuple[str, ...] = ()
    headed: bool = False
    doubtful: str = ""
    path: Path | None = None

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.values) if self.values.ndim else 1

    @property
    def columns(self) -> int:
        """Numbers an example."""
        return self.values.size // max(self.examples, 1)

    @property
    def kind(self) -> str:
        """Labels (one column of integers or of text) or a vector."""
        return "labels" if self.text or self.values.dtype.kind in "biu" else "vector"

    @property
    def text(self) -> bool:
        """Whether the labels are text."""
        return self.values.dtype.kind in "OUS"

    def __str__(self) -> str:
        kind = "labels" if self.kind == "labels" else f"vector of {self.columns}"
        return f"{self.source}: {self.examples} examples, {kind}"


def measure(config: MeasureConfig) -> tuple[str, ...]:
    """Run `infopace measure` and return the lines to print. Raises InputError for what cannot be used."""
    x, y = read_pair(config.x, config.y, config.missing, config.header)
    permutations = config.permutations
    if permutations is None:
        permutations = 0 if config.estimator in BOUNDS else PERMUTATIONS
    try:
        with Waiting(x.examples) as waiting:
            estimate = mutual_information(
                x.values,
                y.values,
                k=config.k,
                norm=config.norm,
                estimator=config.estimator,
                permutations=permutations,
                missing=config.missing,
                on_permutation=waiting.permutation,
            )
    except ValueError as error:
        raise InputError(str(error)) from error
    notes = tuple(Caution("read", note) for note in (*x.notes, *y.notes))
    estimate = dataclasses.replace(estimate, warnings=(*notes, *estimate.warnings))
    if config.json:
        return (json.dumps(_record(x, y, estimate, permutations), allow_nan=False),)
    return _table(x, y, estimate, permutations)


def read_pair(
    x: Path, y: Path | None, missing: Missing = "refuse", header: Header = "auto"
) -> tuple[Samples, Samples]:
    """The samples of two files, or of one .npz with the arrays x and y."""
    if y is not None:
        return _matched(read_samples(x, "x", missing, header), read_samples(y, "y", missing, header), missing)
    _check_file(x)
    if x.suffix.lower() != ".npz":
        raise InputError(f"measure needs two files, or one .npz with the arrays x and y, got only {x}")
    names = names_in(x)
    if not {"x", "y"} <= set(names):
        raise InputError(f"{x} must hold the arrays x and y, got {', '.join(names) or 'none'}")
    return _samples(f"{x}[x]", Table(read_member(x, "x"))), _samples(f"{x}[y]", Table(read_member(x, "y")))


def read_samples(path: Path, name: str, missing: Missing = "refuse", header: Header = "auto") -> Samples:
    """The samples of one file; in an .npz the array `name`, or the only one."""
    _check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            names = names_in(path)
            if name not in names and len(names) != 1:
                got = ", ".join(names) or "none"
                raise InputError(f"{path} must hold the array {name} or a single one, got {got}")
            table = Table(read_member(path, name if name in names else names[0]))
        elif suffix == ".npy":
            table = Table(read_npy(path))
        elif suffix == ".csv":
            table = read_csv(path, missing, header)
        else:
            table = read_parquet(path, missing)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is no readable {suffix} file: {error}") from error
    return _samples(str(path), table, path)


def _matched(x: Samples, y: Samples, missing: Missing) -> tuple[Samples, Samples]:
    """Decide whether a first line that may be a header or an example is one, by the length of the other file.

    Raises InputError where nothing decides it.
    """
    if x.doubtful and not y.doubtful:
        x = _decided(x, y, missing)
    elif y.doubtful and not x.doubtful:
        y = _decided(y, x, missing)
    doubtful = [samples for samples in (x, y) if samples.doubtful]
    for samples in doubtful:
        if samples.kind != "labels" or samples.text:
            raise InputError(
                f"{samples.doubtful} may be a header or an example: say --header yes or --header no"
            )
    notes = [f"{s.doubtful} was read as an example; where it is a header, say --header yes" for s in doubtful]
    return dataclasses.replace(x, notes=(*x.notes, *notes)), y


def _decided(samples: Samples, other: Samples, missing: Missing) -> Samples:
    """The samples with the first line as an example or as a header, where the other file's length fits one of them.

    An example is left out as a header only if the other file has a header for certain. Raises InputError where the
    lengths alone say so, and where the line is text that fits neither.
    """
    assert samples.path is not None, "only a .csv has a first line"
    found: dict[Header, Samples] = {}
    headers: tuple[Header, ...] = ("no", "yes")
    for header in headers:
        with contextlib.suppress(InputError):  # a word above numbers is no example
            found[header] = read_samples(samples.path, "", missing, header)
    if "no" in found and found["no"].examples == other.examples:
        return found["no"]
    if "yes" in found and found["yes"].examples == other.examples:
        if other.headed:
            return found["yes"]
        raise InputError(
            f"{samples.doubtful} may be a header or an example: {other.source} has {other.examples} examples and"
            f" {samples.source} {found['yes'].examples + 1} lines; say --header yes or --header no"
        )
    if samples.text:
        return samples
    return dataclasses.replace(samples, doubtful="")  # and the estimator says that the lengths differ


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path} must end in one of {', '.join(_SUFFIXES)}, got {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path} must be a file, got a folder" if path.is_dir() else f"no file {path}")


def _samples(source: str, table: Table, path: Path | None = None) -> Samples:
    """A single column of integers or of text is labels; several columns of integers are a vector."""
    values = table.values
    several = values.ndim > 0 and values.size != len(values)
    if values.dtype.kind in "biu" and several:
        values = values.astype(np.float64)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    return Samples(source, values, table.notes, table.headed, table.doubtful, path)


def _record(x: Samples, y: Samples, estimate: Estimate, permutations: int) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def described(samples: Samples) -> dict[str, Any]:
        return {
            "source": samples.source,
            "kind": samples.kind,
            "examples": samples.examples,
            "columns": samples.columns,
        }

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
        ("n", f"{estimate.n} examples"),
        ("method", method),
        *(("warning", caution.sentence) for caution in estimate.warnings),
    ]
    return tuple(f"{name:<9}{text}" for name, text in rows)
