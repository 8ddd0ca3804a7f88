"""The settings of a test go to JSON and back; what no test wrote is refused in one line."""

from __future__ import annotations

import json
from typing import Any

import jaxtyping
import pytest

from infopace.range_test import Algorithm2, Race
from infopace.range_test._find_bounds import METHODS
from infopace.range_test._method import Settings


def made(method: Any = None) -> Settings:
    method = method or Race()
    return Settings(method, "loss", ("conv", "fc"), 1000, 0.9, True, {"seed": 3, "lr_factors": [1.0, 0.5]})


@pytest.mark.parametrize(
    "method", [Race(), Race(trials=2, most=1.5, high=3.0), Algorithm2(rates=(0.1, 0.2, 0.5))]
)
def test_settings_come_back_from_json(method: Any) -> None:
    one = made(method)
    assert Settings.from_json(json.loads(json.dumps(one.to_json())), METHODS) == one


DAMAGED: dict[str, dict[str, Any]] = {
    "method must be an object, got 3": {"method": 3},
    "the method's name must be a text, got None": {"method": {}},
    "method must be one of 'race', 'algorithm 2', got 'sweep'": {"method": {"name": "sweep"}},
    "high of the method is missing": {
        "method": {"name": "race", "trials": 3, "share": 0.1, "low": 1e-7, "most": None}
    },
    "more of the method is unknown": {"method": {"name": "race", **vars(Race()), "more": 1}},
    "share must be in (0, 1], got 'x'": {"method": {"name": "race", **vars(Race()), "share": "x"}},
    "retry must be True or False, got 1": {
        "method": {"name": "algorithm 2", **vars(Algorithm2()), "retry": 1}
    },
    "attribute must be one of 'accuracy', 'loss', 'information', got 'f1'": {"attribute": "f1"},
    "layers must be names, got [1]": {"layers": [1]},
    "planned_steps must be a whole number, got True": {"planned_steps": True},
    "planned_steps must be at least 1, got 0": {"planned_steps": 0},
    "momentum must be finite, got nan": {"momentum": float("nan")},
    "nesterov must be true or false, got 1": {"nesterov": 1},
}


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_settings_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of it first
    with pytest.raises(ValueError) as caught:
        Settings.from_json({**made().to_json(), "layers": ["conv"], **DAMAGED[text]}, METHODS)
    assert str(caught.value) == text


def test_what_is_missing_is_named() -> None:
    content = {**made().to_json(), "layers": []}
    del content["momentum"]
    with pytest.raises(ValueError, match=r"^momentum is missing$"):
        Settings.from_json(content, METHODS)
