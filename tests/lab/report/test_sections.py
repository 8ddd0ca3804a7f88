"""The JSON that other commands hand over: read whole, or refused with the place that is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.errors import InputError
from infopace.lab.report.range_tests import RangeTest, read_range_test
from infopace.lab.report.reading import read_folders
from infopace.lab.report.sections import Comparison


def read(content: Any, folder: Path) -> RangeTest:
    (folder / "range-test.json").write_text(json.dumps(content))
    found = read_range_test(folder)
    assert found is not None
    return found


def test_a_range_test_is_read(range_test_json: dict[str, Any], tmp_path: Path) -> None:
    found = read(range_test_json, tmp_path)
    assert found.workload == "tiny" and found.lrs == (0.001, 0.01, 0.1, 0.3)
    assert [curve.name for curve in found.curves] == ["accuracy", "loss", "information"]
    assert found.curves[0].values[0] == 20.0 and found.curves[0].low[0] == pytest.approx(18.0)
    assert found.bounds == {"lr_min": 0.002, "lr_top": 0.1, "lr_max": 0.4}
    assert list(found.layers) == ["conv", "fc"]
    assert found.facts["epsilon"] == "0.005"


def test_what_a_range_test_may_leave_out(range_test_json: dict[str, Any], tmp_path: Path) -> None:
    whole = ("workload", "method", "attribute", "bounds", "table")
    found = read({name: range_test_json[name] for name in whole}, tmp_path)
    assert len(found.curves) == 3 and found.layers == {}


def test_a_comparison_is_read(comparison_json: dict[str, Any]) -> None:
    found = Comparison.from_json("x.json", comparison_json)
    assert [m.method for m in found.methods] == ["paced", "SGD cosine", "Adam", "Prodigy"]
    assert found.methods[0].p == 0.0004 and found.methods[1].p is None
    assert found.methods[3].mean is None and found.methods[3].note == "not installed"
    assert found.higher_is_better


Change = Callable[[Any], object]
RANGE_TESTS: dict[str, Change] = {
    "workload must be a string, got None": lambda c: c.pop("workload"),
    "table: lr must ascend, got [0.001, 0.01, 0.01, 0.3]": lambda c: c["table"][2].update(lr=0.01),
    "table must be a list of objects, not empty, got []": lambda c: c.update(table=[]),
    "table[0] must be a JSON object, got 3": lambda c: c.update(table=[3]),
    "table[1]: lr must be a positive number, got None": lambda c: c["table"][1].pop("lr"),
    "table[1]: final_loss must be a finite number or null, got nan": lambda c: c["table"][1].update(
        final_loss=float("nan")
    ),
    "table[0]: range: final_loss must be a list of 2 numbers, got [1.0]": lambda c: c["table"][0][
        "range"
    ].update(final_loss=[1.0]),
    "bounds: lr_min must be a positive number, got 0.0": lambda c: c["bounds"].update(lr_min=0),
    "layer_bounds: fc: lr_top must be a positive number, got None": lambda c: c["layer_bounds"]["fc"].pop(
        "lr_top"
    ),
    "crashes[1]: trials must be a whole number >= 0, got -1": lambda c: c["crashes"][1].update(trials=-1),
    "steps must be a whole number >= 0, got 0.5": lambda c: c.update(steps=0.5),
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
def test_a_wrong_range_test_is_refused(message: str, range_test_json: dict[str, Any], tmp_path: Path) -> None:
    RANGE_TESTS[message](range_test_json)
    with pytest.raises(InputError) as error:
        read(range_test_json, tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/range-test.json: {message}")


@pytest.mark.parametrize("message", COMPARISONS)
def test_a_wrong_comparison_is_refused(message: str, comparison_json: dict[str, Any]) -> None:
    COMPARISONS[message](comparison_json)
    with pytest.raises(InputError) as error:
        Comparison.from_json("x.json", comparison_json)
    assert str(error.value).startswith(message)


def test_a_torn_file_is_named(tmp_path: Path, comparison_json: dict[str, Any]) -> None:
    (tmp_path / "comparison.json").write_text(repr(copy.copy(comparison_json)))  # Python, not JSON
    with pytest.raises(InputError, match=r"comparison\.json cannot be read as JSON: "):
        read_folders([tmp_path])
