"""The record over a run: rows, picture, file, state."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from infopace.diagnostics import ActivationSpread, Diagnostics, InformationPlane, read_rows

from .looks import small_net, small_probe


def recorded(*epochs: int, noise: float = 1.0) -> Diagnostics:
    probe, net = small_probe(), small_net()
    plane = InformationPlane(probe, noise, draws=1)
    size = {"weights": 3.0, "bad": math.nan}
    diagnostics = Diagnostics(net, plane, spread=ActivationSpread(probe), size=lambda model: size)
    for epoch in epochs:
        diagnostics.record(epoch)
        with torch.no_grad():
            net[0].weight.mul_(1.5)  # pyright: ignore[reportCallIssue]
    return diagnostics


def test_rows_are_plain_numbers() -> None:
    first, second = recorded(0, 3).rows
    assert list(first) == ["epoch", "plane", "spread", "size"] and (first["epoch"], second["epoch"]) == (0, 3)
    assert list(first["plane"]["layers"]) == ["0", "2", "output"] and first["plane"]["noise"] == 1.0
    about = first["plane"]["layers"]["2"]["inputs"]
    assert about["low"] <= about["nats"] <= about["high"] and about["null"] < about["low"]
    assert first["size"] == {"weights": 3.0, "bad": None}
    assert second["spread"]["veca"] != first["spread"]["veca"]
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_a_file_and_a_state_give_the_rows_back(tmp_path: Path) -> None:
    diagnostics = recorded(0, 1)
    diagnostics.save(tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == diagnostics.rows
    again = recorded()
    again.load(tmp_path / "rows.jsonl")
    assert again.rows == diagnostics.rows
    buffer = io.BytesIO()
    torch.save(diagnostics.state_dict(), buffer)
    buffer.seek(0)
    resumed = recorded()
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    assert resumed.rows == diagnostics.rows
    resumed.record(2)
    assert len(resumed.rows) == 3 and len(diagnostics.rows) == 2


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (None, "rows must be a list of rows, each with its epoch, got None"),
        ([{"a": 1}], "rows must be a list of rows, each with its epoch, got [{'a': 1}]"),
        ([{"epoch": 1}, {"epoch": 1}], "the epochs of the rows must rise, got [1.0, 1.0]"),
        ([{"epoch": 1, "other": {}}], "the rows must be of plane, spread, size, got other"),
    ],
)
def test_other_rows_are_refused(rows: Any, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        recorded().load_state_dict({"rows": rows})
    assert str(caught.value) == line


def test_rows_of_other_noise_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        recorded().load_state_dict(recorded(0, noise=2.0).state_dict())
    assert str(caught.value) == "the rows must be of a plane with noise 1, got 2"


def test_the_picture_states_the_noise() -> None:
    figure = recorded(0, 1, 4).plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:5] == [
        "Information plane, noise N of 1 rms(T), n = 40, 95 % intervals",
        "About the inputs with noise 1 rms(T)",
        "About the targets",
        "spread",
        "size",
    ]
    figure.savefig(io.BytesIO())
    lonely = Diagnostics(small_net(), spread=ActivationSpread(small_probe()))
    lonely.record(0)
    assert [axes.get_title(loc="left") for axes in lonely.plot().axes] == ["spread"]


def test_what_is_refused() -> None:
    net, spread = small_net(), ActivationSpread(small_probe())
    cases: dict[str, Any] = {
        "there must be something to record, got no plane and no diagnostic": lambda: Diagnostics(net),
        "a diagnostic must have a name of its own, got 'epoch'": lambda: Diagnostics(net, epoch=spread),
        "epoch must be after 3, the last recorded, got 3": lambda: recorded(3).record(3),
        "epoch must be a finite number of at least 0, got -1": lambda: recorded().record(-1),
        "there must be a row to draw, got none: record an epoch first": lambda: recorded().plot(),
    }
    for line, call in cases.items():
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == line
    wrong: Any = Diagnostics(net, odd=lambda model: [1.0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError) as raised:
        wrong.record(0)
    assert str(raised.value) == "diagnostic 'odd' must give {name: number}, got [1.0]"


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{\n")
    with pytest.raises(ValueError) as caught:
        read_rows(tmp_path / "rows.jsonl")
    assert str(caught.value).startswith(f"{tmp_path / 'rows.jsonl'} must hold one row of JSON a line, got ")


def test_nothing_is_kept_by_measuring() -> None:
    diagnostics = recorded(0)
    assert list(diagnostics.measure()) == ["plane", "spread", "size"] and len(diagnostics.rows) == 1
