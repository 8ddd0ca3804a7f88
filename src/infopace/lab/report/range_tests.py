"""What the report shows of a range test, from the `range-test.json` of `infopace.lab.bounds`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from infopace.lab.bounds import RANGE_TEST_FILE, workload_of
from infopace.lab.errors import InputError
from infopace.lab.report.json_fields import Fields, read_json

_RATES = ("lr_min", "lr_top", "lr_max")
# Field in the rows of the table, name, unit, scale.
_CURVES = (
    ("final_accuracy", "accuracy", "%", 100.0),
    ("final_loss", "loss", "", 1.0),
    ("final_information", "information", "nats", 1.0),
)
_METHODS = {"race": "a race of candidates", "algorithm 2": "Algorithm 2 of Vasudevan 2020"}


@dataclass(frozen=True)
class RangeTestCurve:
    """One attribute at the end of each candidate: the mean over the trials that finished it, and their range."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class RangeTest:
    """The learning rates that trials finished, ascending, their curves, and the bounds.

    `bounds` has lr_min, lr_top and lr_max. `layers` has the same for each layer that has its own. `facts` are shown
    beside them. Without a result there are only facts.
    """

    workload: str
    facts: dict[str, str]
    lrs: tuple[float, ...] = ()
    curves: tuple[RangeTestCurve, ...] = ()
    bounds: dict[str, float] = field(default_factory=dict)
    layers: dict[str, dict[str, float]] = field(default_factory=dict)


def holds_test(folder: Path) -> bool:
    """Whether the folder is that of a range test, finished or not."""
    return (folder / "test.json").is_file()


def read_range_test(folder: Path) -> RangeTest | None:
    """The range test of a folder, None where there is none. Raises InputError: one line that names the field."""
    path = folder / RANGE_TEST_FILE
    content = read_json(path)
    if content is not None:
        return _range_test(Fields(str(path), content), folder)
    if not holds_test(folder):
        return None
    state = "no bounds: not finished, or refused; give the same command again to go on or to see why"
    return RangeTest(workload_of(folder), {"state": state, "folder": str(folder)})


def _range_test(fields: Fields, folder: Path) -> RangeTest:
    rows = fields.objects("table")
    lrs = tuple(_positive(row, "lr") for row in rows)
    if not all(a < b for a, b in itertools.pairwise(lrs)):
        raise InputError(f"{fields.place}: table: lr must ascend, got {list(lrs)}")
    bounds, layers = fields.object("bounds"), fields.object("layer_bounds")
    curves = (_curve(rows, *curve) for curve in _CURVES)
    return RangeTest(
        fields.text("workload"),
        _facts(fields, folder),
        lrs,
        tuple(curve for curve in curves if any(value is not None for value in curve.values)),
        _rates(bounds),
        {name: _rates(layers.object(name)) for name in layers.content},
    )


def _curve(rows: list[Fields], field: str, name: str, unit: str, scale: float) -> RangeTestCurve:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * scale

    # A row without the attribute, such as accuracy in regression, has no range of it either.
    ends = [row.object("range").numbers(field, (0, 2)) or (None, None) for row in rows]
    return RangeTestCurve(
        name,
        unit,
        tuple(scaled(row.number(field)) for row in rows),
        tuple(scaled(low) for low, _ in ends),
        tuple(scaled(high) for _, high in ends),
    )


def _facts(fields: Fields, folder: Path) -> dict[str, str]:
    method = fields.text("method")
    steps, seconds = fields.count("steps", 0), fields.number("seconds") or 0.0
    trials = fields.content.get("trial_bounds")
    crashes = (
        f"{_positive(one, 'lr'):g} in {one.count('trials', 0)}"
        for one in (fields.objects("crashes") if fields.content.get("crashes") else ())
    )
    notes = fields.content.get("notes")
    facts = {
        "epsilon": f"{_positive(fields.object('bounds'), 'epsilon'):.3g}",
        "method": f"{_METHODS.get(method, method)}, by {fields.text('attribute')}",
        "trials": str(len(trials)) if isinstance(trials, list) else "",
        "crashed trials": ", ".join(crashes),
        "cost": f"{steps:,} steps, {100 * (fields.number('share_of_the_training') or 0.0):.1f} % of the run; "
        f"{seconds:.0f} s",
        "note": "; ".join(str(note) for note in notes) if isinstance(notes, list) else "",
        "folder": str(folder),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _rates(bounds: Fields) -> dict[str, float]:
    return {name: _positive(bounds, name) for name in _RATES}


def _positive(fields: Fields, name: str) -> float:
    value = fields.number(name)
    if value is None or value <= 0:
        raise InputError(f"{fields.place}: {name} must be a positive number, got {value}")
    return value
