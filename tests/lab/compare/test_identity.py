"""Results of other data, models or losses are not mixed, and rows that no run can have given are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab.compare import CompareConfig, compare
from infopace.lab.compare._cells import Cell, Outcome
from infopace.lab.compare._config import inputs_of, resolve_comparison
from infopace.lab.compare._known import keep_known, key_of, known_outcomes, read_known
from infopace.lab.compare._tuning import choose, tuning_cells
from infopace.lab.errors import InputError

from ..small import ONE_PAPER_TRIAL, ROW

FILE = Path(__file__).parent.with_name("own.py")
OWN = f"{FILE}:MINE"
ROOT = Path(__file__).resolve().parents[3]
CHANGES = {
    "data": ("torch.randn(180, 4, generator=generator)", "torch.randn(180, 4, generator=generator) + 1"),
    "code": ("nn.Linear(4, 8), nn.ReLU()", "nn.Linear(4, 8), nn.Tanh()"),
    "batch_size": ("batch_size=16", "batch_size=20"),
    "weight_decay": ("batch_size=16", "batch_size=16,\n    optimizer=SGDRecipe(weight_decay=0.1)"),
}
TEST: dict[str, Any] = {
    "workload": "mine",
    "epochs": 3,
    "part": "range test",
    "lr_min": 0.01,
    "lr_max": 0.2,
    "lr_top": 0.1,
    "epsilon": 0.001,
    "failure": "",
    "cost_epochs": 2.0,
    "seconds": 1.0,
}


class Begun(Exception):
    """Raised where runs would begin."""


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*arguments: Any) -> None:
        raise Begun

    monkeypatch.setattr("infopace.lab.compare._bench.on_this_machine", begin)


def start(workload: str, out: Path, *known: Path, **options: Any) -> None:
    config = CompareConfig(workload, ("adam",), out=out, known=known, **options)
    with pytest.raises(Begun):
        compare(config, [].append)


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("what", CHANGES)
def test_the_folder_and_the_rows_of_other_inputs_are_refused(what: str, tmp_path: Path) -> None:
    own, spec = tmp_path / "own.py", f"{tmp_path / 'own.py'}:MINE"
    own.write_text(FILE.read_text())
    start(spec, tmp_path / "out")
    start(spec, tmp_path / "out")  # the same is taken up
    plan = resolve_comparison(CompareConfig(spec, ("adam",)))
    known = write(tmp_path / "rows.jsonl", {**ROW, "inputs": inputs_of(plan, plan.workload.load())})
    start(spec, tmp_path / "known", known)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    assert own.read_text().count(CHANGES[what][0]) == 1
    own.write_text(own.read_text().replace(*CHANGES[what]))
    with pytest.raises(
        InputError, match=rf"out holds another comparison: .*{what} is .* there and .* here.*; choose"
    ):
        start(spec, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(
        InputError, match=rf"rows\.jsonl, line 1: the row is of another comparison: .*{what} is "
    ):
        start(spec, tmp_path / "more", known)
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("what", CHANGES)
def test_the_folder_of_a_range_test_of_other_inputs_is_refused(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infopace.RangeTest.plot", lambda found, path: path)
    own = tmp_path / "own.py"
    own.write_text(FILE.read_text())
    command = ["range-test", f"{own}:MINE", *ONE_PAPER_TRIAL, "--low", "0.1", "--high", "0.5"]
    out = tmp_path / "out"
    assert main([*command, "--out", str(out)]) in (0, 4)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    own.write_text(own.read_text().replace(*CHANGES[what]))
    capsys.readouterr()
    assert main([*command, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "holds another range test: " in error and f"{what} is " in error and error.count("\n") == 1
    # Trials without the record of the command, as those before a training run, do not go on either.
    (out / "run.json").unlink()
    assert main([*command, "--out", str(out)]) == 2
    assert "holds another range test: " in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        name: content for name, content in before.items() if name != "run.json"
    }


IMPOSSIBLE = {
    "700 %": ({"test": [0.4, 0.4, 7.0], "final": 7.0, "best": 7.0}, r"7\.0 is no value of accuracy"),
    "below 0 %": ({"test": [-0.1, 0.4, 0.5]}, r"-0\.1 is no value of accuracy"),
    "a text": ({"final": "0.5"}, r"'0\.5' is no value of accuracy"),
    "negative seconds": ({"seconds": [1.0, -4.0, 1.0]}, r"seconds must be numbers >= 0"),
    "more epochs than planned": ({"test": [0.5] * 4, "seconds": [1.0] * 4}, r"4 epochs instead of 3"),
    "fewer epochs than planned": (
        {"test": [0.5] * 2, "seconds": [1.0] * 2, "best_epoch": 1},
        r"2 epochs instead of 3",
    ),
    "one time too few": ({"seconds": [1.0, 1.0]}, r"must be lists of one length"),
    "an unknown method": ({"method": "adamm"}, r"unknown method 'adamm'; did you mean"),
    "a method that is none": ({"method": 3}, r"method and failure must be texts, got 3"),
    "a tuning seed": ({"seed": 1000}, r"seed must be in 0\.\.999, got 1000"),
    "a test seed": ({"part": "tuning"}, r"seed must be in 1000\.\.1999, got 0"),
    "no learning rate": ({"lr": None}, r"lr must be a positive number, got None"),
    "an epoch that is not there": ({"best_epoch": 4}, r"best_epoch must be in 1\.\.3, got 4"),
    "another part": ({"part": "tset"}, r"not a row of a comparison's rows\.jsonl: "),
    "inputs that are none": ({"inputs": [1]}, r"inputs are \[1\]"),
}


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_known_rows_that_no_run_can_have_given(what: str, tmp_path: Path) -> None:
    parts, message = IMPOSSIBLE[what]
    known = write(tmp_path / "rows.jsonl", ROW, {**ROW, **parts})
    with pytest.raises(InputError, match=rf"rows\.jsonl, line 2: .*{message}") as refused:
        start(OWN, tmp_path / "out", known)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    start(OWN, tmp_path / "out", write(tmp_path / "rows.jsonl", ROW))


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("part", ["lr_max", "seconds", "cost_epochs", "failure"])
def test_a_known_range_test_that_none_can_have_given(part: str, tmp_path: Path) -> None:
    known = write(tmp_path / "rows.jsonl", {**TEST, part: -4.0})
    with pytest.raises(InputError, match=r"line 1: .*bounds or costs that no range test can give"):
        start(OWN, tmp_path / "out", known)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_runs")
def test_a_known_range_test_alone_leaves_a_folder_that_goes_on(tmp_path: Path) -> None:
    known = write(tmp_path / "rows.jsonl", TEST)
    start(OWN, tmp_path / "out", known)
    there = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    start(OWN, tmp_path / "out")
    start(OWN, tmp_path / "out", known)
    assert there
    assert {name: (tmp_path / "out" / name).read_bytes() for name in there} == there


def test_published_rows_record_no_inputs_and_are_taken_with_a_note(tmp_path: Path) -> None:
    published = ROOT / "results" / "compare_digits.jsonl"
    plan = resolve_comparison(CompareConfig("digits", out=tmp_path))
    inputs = inputs_of(plan, plan.workload.load())
    known = read_known([published], plan, inputs)
    rows = len(published.read_text().splitlines())
    note = f"{rows} of {rows} rows of {published} record neither data nor code and are taken unverified"
    assert known.notes == (note,)
    keep_known(known, plan, inputs)
    taken = known_outcomes(plan, inputs)
    assert len(taken) == rows - 1
    assert not any(outcome.verified for outcome in taken.values())
    # They were made with one tuning seed. So the finalists of the cosine have two runs each to make.
    (cosine,) = (entry for entry in plan.entries if entry.name == "sgd-cosine")
    first = tuning_cells(cosine, plan, [])
    assert all(key_of(cell) in taken for cell in first)
    cells = tuning_cells(cosine, plan, [taken[key_of(cell)] for cell in first])
    assert [cell.seed for cell in cells if key_of(cell) not in taken] == [1001, 1002] * 3


def test_a_rate_whose_run_was_lost_is_no_bad_rate() -> None:
    plan = resolve_comparison(CompareConfig(OWN, ("adam",)))
    (entry,) = plan.entries
    ended = [Outcome(Cell(entry, lr, 1000), (lr,), (1.0,)) for lr in entry.grid]
    best = choose(ended, entry.grid, plan.workload.metric).lr
    assert best == max(entry.grid)
    diverged = [*ended[:-1], Outcome(ended[-1].cell, (), (), "training diverged in epoch 1")]
    lost = [*ended[:-1], Outcome(ended[-1].cell, (), (), "its process was ended by SIGKILL", lost=True)]
    assert choose(diverged, entry.grid, plan.workload.metric).lr == sorted(entry.grid)[-2]
    assert choose(lost, entry.grid, plan.workload.metric).lr is None
    assert choose(lost, entry.grid, plan.workload.metric).missing == (lost[-1],)
