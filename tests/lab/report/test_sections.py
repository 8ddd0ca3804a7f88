"""The JSON that other commands hand over: read whole, or refused with the place that is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.errors import InputError
from infopace.lab.report.reading import read_folders
from infopace.lab.report.sections import Comparison, RangeTest


def test_a_range_test_is_read(range_test_json: dict[str, Any]) -> None:
    found = RangeTest.from_json("x.json", range_test_json)
    assert found.lrs == (0.001, 0.01, 0.1, 1.0)
    assert [curve.name for curve in found.curves] == ["accuracy", "loss", "information"]
    assert found.curves[0].values[-1] is None and found.curves[0].low[0] == 18.0
    assert found.curves[1].low == () and found.curves[1].unit == ""
    assert dict(found.bounds) == {"lr_min": 0.002, "lr_top": 0.1, "lr_max": 0.4}
    assert dict(found.facts) == {"epsilon": "0.005", "trials": "3"}


def test_a_comparison_is_read(comparison_json: dict[str, Any]) -> None:
    found = Comparison.from_json("x.json", comparison_json)
    assert [m.method for m in found.methods] == ["paced", "SGD cosine", "Adam", "Prodigy"]
    assert found.methods[0].p == 0.0004 and found.methods[1].p is None
    assert found.methods[3].mean is None and found.methods[3].note == "not installed"
    assert found.higher_is_better


Change = Callable[[Any], object]
RANGE_TESTS: dict[str, Change] = {
    "x.json: workload must be a string, got None": lambda c: c.pop("workload"),
    "x.json: lrs must be two or more positive numbers, ascending": lambda c: c.update(
        lrs=[0.1, 0.01, 0.2, 1]
    ),
    "x.json: lrs must be a list of numbers, got 'all'": lambda c: c.update(lrs="all"),
    "x.json: curves must be a list of objects, not empty, got []": lambda c: c.update(curves=[]),
    "x.json: curves[0] must be a JSON object, got 3": lambda c: c.update(curves=[3]),
    "x.json: curves[1]: values must be a list of 4 numbers": lambda c: c["curves"][1].update(values=[1.0]),
    "x.json: curves[0]: low[0] must be a finite number or null, got nan": lambda c: c["curves"][0].update(
        low=[float("nan")] * 4
    ),
    "x.json: bounds: lr_min must be a positive number, got 0.0": lambda c: c["bounds"].update(lr_min=0),
    "x.json: facts: trials must be a string, got 3": lambda c: c["facts"].update(trials=3),
}
COMPARISONS: dict[str, Change] = {
    "x.json: methods must be a list of objects, not empty, got None": lambda c: c.pop("methods"),
    "x.json: methods[0]: mean must be a finite number or null, got 'good'": lambda c: c["methods"][0].update(
        mean="good"
    ),
    "x.json: methods[0]: low <= mean <= high must hold, got 99.0, 98.1, 98.3": lambda c: c["methods"][
        0
    ].update(low=99),
    "x.json: methods[1]: low and high must come together": lambda c: c["methods"][1].pop("low"),
    "x.json: methods[2]: p must be in 0..1, got 21.0": lambda c: c["methods"][2].update(p=21),
    "x.json: methods[2]: n must be a whole number >= 0, got -1": lambda c: c["methods"][2].update(n=-1),
    "x.json: higher_is_better must be true or false, got 'yes'": lambda c: c.update(higher_is_better="yes"),
}


@pytest.mark.parametrize("message", RANGE_TESTS)
def test_a_wrong_range_test_is_refused(message: str, range_test_json: dict[str, Any]) -> None:
    RANGE_TESTS[message](range_test_json)
    with pytest.raises(InputError) as error:
        RangeTest.from_json("x.json", range_test_json)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("message", COMPARISONS)
def test_a_wrong_comparison_is_refused(message: str, comparison_json: dict[str, Any]) -> None:
    COMPARISONS[message](comparison_json)
    with pytest.raises(InputError) as error:
        Comparison.from_json("x.json", comparison_json)
    assert str(error.value).startswith(message)


def test_a_torn_file_is_named(tmp_path: Path, comparison_json: dict[str, Any]) -> None:
    (tmp_path / "comparison.json").write_text(repr(copy.copy(comparison_json)))  # Python, not JSON
    with pytest.raises(InputError, match=r"comparison\.json is no readable JSON: "):
        read_folders([tmp_path])
