"""A comparison as a whole: real processes, killed, resumed and extended, and what the table says of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace.cli import main
from infopace.lab.compare._cells import Cell, Outcome
from infopace.lab.compare._config import Entry
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.report import ReportConfig, report
from infopace.lab.tasks import ACCURACY, MAE_CELSIUS, Metric

from .comparing import FILE, METHODS, OWN, cells_of, rows, run

Whole = tuple[Path, list[str], list[str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A comparison that nothing disturbed, for tests that leave it as it is or add to it."""
    out = tmp_path_factory.mktemp("compare") / "whole"
    return out, *run(out)


@pytest.mark.slow
def test_workers_clean_up_after_themselves(tmp_path: Path) -> None:
    """What a package of theirs shares between processes, a lock, is not left for Python to complain of at the end."""
    lock = "import multiprocessing\nLOCK = multiprocessing.get_context('spawn').Lock()\n"
    (tmp_path / "mine.py").write_text(f"{FILE.read_text()}\n{lock}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    options = ["--methods", "prodigy", "--bounds", "workload", "--seeds", "1", "--jobs", "1"]
    command = [sys.executable, "-m", "infopace.cli", "compare", "mine.py:MINE", *options, "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "leaked" not in done.stderr


@pytest.mark.slow
def test_killed_in_every_stage_it_ends_with_the_same_table(tmp_path: Path, whole: Whole) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    options = ["--methods", *METHODS, "--bounds", "workload", "--seeds", "2", "--jobs", "2"]
    command = [sys.executable, "-m", "infopace.cli", "compare", OWN, *options, "--out", "cut"]
    for stage in ("tuning:", "tuning, finalists:", "comparison:"):
        begun = False
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                begun = begun or line.startswith(stage)
                if begun and re.match(r" *2/", line):
                    process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "cut" / "rows.jsonl").exists()
    # Workers end with their parent. A worker that went on would hold a folder, and this command would say so.
    said, _ = run(tmp_path / "cut", jobs=2)
    assert not [line for line in said if "failed" in line]
    assert said[0] != "tuning: 10 jobs, 0 of them done already"
    assert rows(tmp_path / "cut") == rows(whole[0])
    assert not list((tmp_path / "cut" / "runs").glob("*/*.pt"))


def test_what_is_done_is_not_done_again_and_what_is_added_is(whole: Whole, tmp_path: Path) -> None:
    out, said, lines = whole
    copy = shutil.copytree(out, tmp_path / "copy")
    assert said[0] == "tuning: 10 jobs, 0 of them done already"
    before = {path: path.stat().st_mtime_ns for path in copy.glob("runs/*/epochs.jsonl")}
    assert len(before) == 10 + 6 + 4
    left = next(copy.glob("runs/*")) / "epoch-0003-0123456789abcdef.pt"  # by a kill just after the run's end
    left.touch()
    again, same = run(copy)
    assert not left.exists()
    assert [line for line in again if "/" in line] == []
    assert same[:-2] == lines[:-2]
    more, _ = run(copy, *METHODS, "sgd-linear", "dog", seeds=3)  # dog has no rate to tune
    assert len([line for line in more if re.match(r" *\d+/", line)]) == (10 + 6) + 3 + 3 + 2
    assert [row["failure"] for row in rows(copy) if row["failure"]] == []
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    with pytest.raises(InputError, match=r"holds another comparison: epochs is 3 there and 4 here; choose"):
        run(copy, epochs=4)


def test_the_table_says_what_the_rows_say(whole: Whole, tmp_path: Path) -> None:
    out, _, lines = whole
    found = rows(out)
    tuning: dict[float, dict[int, float]] = {}
    for row in found:
        if row["part"] == "tuning":
            tuning.setdefault(row["lr"], {})[row["seed"]] = row["final"]
    finals = {
        name: [row["final"] for row in found if row["part"] == "test" and row["method"] == name]
        for name in METHODS
    }
    assert len(tuning) == 10
    chosen = {row["lr"] for row in found if row["part"] == "test" and row["method"] == "sgd-cosine"}
    means = {lr: sum(finals.values()) for lr, finals in tuning.items() if len(finals) == 3}
    assert len(means) == 3
    assert min(tuning[lr][1000] for lr in means) >= max(tuning[lr][1000] for lr in tuning if lr not in means)
    assert chosen == {min(lr for lr, total in means.items() if total == max(means.values()))}
    by_name = cells_of(lines)
    for name in METHODS:
        mean = sum(finals[name]) / 2
        assert by_name[name][2] == "2"
        assert by_name[name][3] == f"{100 * mean:.2f} %"
        peak = max(max(row["test"]) for row in found if row["part"] == "test" and row["method"] == name)
        assert by_name[name][6] == f"{100 * peak:.2f} %"
    assert by_name["vasudevan-2020"][5] == ""
    assert float(by_name["sgd-cosine"][5].strip("< ")) <= 1
    assert by_name["sgd-cosine"][7:9] == ["3", "48"]
    # No test seed is a tuning seed.
    seeds = {part: {row["seed"] for row in found if row["part"] == part} for part in ("tuning", "test")}
    assert not seeds["tuning"] & seeds["test"]
    # And the report takes it.
    report(ReportConfig((out,), tmp_path / "report.html"))
    assert "sgd-cosine" in (tmp_path / "report.html").read_text()


def test_no_time_is_spent_on_error_bars_that_the_table_does_not_show(whole: Whole) -> None:
    (paced, _) = whole[0].glob("runs/vasudevan-2020-*/epochs.jsonl")
    found = [json.loads(line)["information"]["output"] for line in paced.read_text().splitlines()]
    assert [layer["std_error"] for layer in found] == [None] * 4
    assert all(layer["nats"] > -1 for layer in found)


def test_a_process_that_is_killed_is_one_run_missing_and_the_next_command_makes_it(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    (tmp_path / "bomb").write_text("2")  # after the two batches of the trial of the workload
    own = {"workload": f"{tmp_path / FILE.name}:MINE", "seeds": 4}
    with pytest.raises(Unfinished, match=r"incomplete, runs are missing: 1; the first: .*SIGKILL") as ended:
        run(tmp_path / "out", "vasudevan-2020", **own)
    assert any("incomplete, 1 of 4 runs are missing: its process" in line for line in ended.value.lines)
    assert sorted(row["ended"] for row in rows(tmp_path / "out")) == ["finished"] * 3 + ["incomplete"]
    again, _ = run(tmp_path / "out", "vasudevan-2020", **own)
    assert "comparison: 4 jobs, 3 of them done already" in again
    assert [row["failure"] for row in rows(tmp_path / "out")] == [""] * 4


def test_a_killed_tuning_run_is_no_bad_learning_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Really killed, on a condition in a user's workload: nothing is tuned over the rates that are left."""
    shutil.copy(FILE, tmp_path)
    (tmp_path / "bomb").write_text("2")  # after the two batches of the trial of the workload
    options = ["--methods", "sgd-cosine", "dog", "--seeds", "1", "--jobs", "1", "--bounds", "workload"]
    command = ["compare", f"{tmp_path / FILE.name}:MINE", *options, "--out", str(tmp_path / "out")]
    assert main(command) == 3
    captured = capsys.readouterr()
    assert re.fullmatch(
        r"infopace: the comparison is incomplete, runs are missing: 1; the first: sgd-cosine lr \S+ seed 1000: its "
        r"process was ended by SIGKILL[^\n]*; the same command makes what is missing\n",
        captured.err,
    )
    assert re.search(r"\| sgd-cosine +\| +\| 0 +\| incomplete ", captured.out)
    assert "sgd-cosine: incomplete, 1 of 10 tuning runs are missing: sgd-cosine lr " in captured.out
    assert {row["method"] for row in rows(tmp_path / "out") if row["part"] == "test"} == {"dog"}
    assert main(command) == 0
    assert "incomplete" not in capsys.readouterr().out
    assert {row["ended"] for row in rows(tmp_path / "out")} <= {"finished", "diverged"}


def test_what_stops_by_itself_is_not_cut_off_at_the_epochs_of_the_others(tmp_path: Path) -> None:
    run(tmp_path, "hold-and-decay-free", "hold-and-decay", seeds=1, epochs=4)
    free, known = (row["test"] for row in rows(tmp_path))
    assert len(known) == 4
    assert 4 < len(free) <= 12


def test_ours_may_hold_examples_out_until_it_decays(tmp_path: Path) -> None:
    run(tmp_path, "hold-and-decay-free-held-out", "hold-and-decay-free", seeds=1)
    settings = [
        json.loads((tmp_path / "runs" / f"{name}-seed0" / "run.json").read_text())["settings"]
        for name in ("hold-and-decay-free-held-out", "hold-and-decay-free")
    ]
    assert [one.get("held_out") for one in settings] == [0.1, None]
    assert [one["horizon"] for one in settings] == ["free", "free"]
    held_out, other = rows(tmp_path)
    assert held_out["test"] != other["test"]


def test_the_range_test_gives_the_paced_methods_their_bounds(tmp_path: Path) -> None:
    _, lines = run(tmp_path, "vasudevan-2020-layer-wise", bounds="range-test", seeds=1, epochs=10)
    record = json.loads((tmp_path / "runs" / "vasudevan-2020-layer-wise-seed0" / "run.json").read_text())
    row = rows(tmp_path)[0]
    assert row["epochs"] == 10
    found = {name: row[name] for name in ("lr_min", "lr_max", "lr_top", "epsilon")}
    assert record["settings"]["layer_wise"] is True
    assert {name: record["settings"][name] for name in found} == found
    assert any(line.startswith("vasudevan-2020-layer-wise: bounds [") for line in lines)


def test_known_runs_are_not_made_again(whole: Whole, tmp_path: Path) -> None:
    native = shutil.copytree(whole[0], tmp_path / "native")
    run(native, seeds=3)
    out = tmp_path / "out"
    said, _ = run(out, seeds=3, known=(whole[0] / "rows.jsonl",))
    assert [line for line in said if "jobs" in line] == [
        "tuning: 10 jobs, 10 of them done already",
        "tuning, finalists: 6 jobs, 6 of them done already",
        "comparison: 6 jobs, 4 of them done already",
    ]
    assert len(list(out.glob("runs/*"))) == 2
    assert rows(out) == rows(native)
    again, _ = run(out, seeds=3)  # the folder has kept them
    assert "comparison: 6 jobs, 6 of them done already" in again


@given(
    st.lists(st.floats(0, 1) | st.integers(0, 360).map(lambda hits: hits / 360), min_size=1, max_size=20),
    st.sampled_from([ACCURACY, MAE_CELSIUS]),
)
def test_a_row_gives_the_same_outcome_but_for_digits_of_the_curve(test: list[float], metric: Metric) -> None:
    outcome = Outcome(Cell(Entry("adam", "adam", False, False, False, None), 0.1, 0), tuple(test), (1.0,))
    row = json.loads(json.dumps(outcome.row(metric)))
    again = Outcome.from_row(row)
    assert again.cell == outcome.cell
    assert again.final == outcome.final
    assert again.test == pytest.approx(outcome.test, abs=1.01e-5)
    best = metric.best(test)
    assert again.row(metric)["best"] == again.test[best] == test[best]
    assert again.row(metric) == row


def test_a_known_range_test_gives_the_bounds_of_what_is_added(tmp_path: Path) -> None:
    options: dict[str, Any] = {"bounds": "range-test", "epochs": 10}
    run(tmp_path / "one", "vasudevan-2020", seeds=1, **options)
    said, _ = run(
        tmp_path / "two", "vasudevan-2020", seeds=2, known=(tmp_path / "one/rows.jsonl",), **options
    )
    assert not [line for line in said if "range test" in line]
    run(tmp_path / "one", "vasudevan-2020", seeds=2, **options)
    assert rows(tmp_path / "two") == rows(tmp_path / "one")
    # Rows of other bounds do not go with them.
    other = tmp_path / "other.jsonl"
    row, *others = (tmp_path / "one/rows.jsonl").read_text().splitlines()
    moved = json.dumps({**json.loads(row), "lr_max": 0.5})
    other.write_text("\n".join([moved, *others]))
    with pytest.raises(InputError, match=r"the bounds are .*'lr_max': 0\.5.* and another range test gave"):
        run(tmp_path / "two", "vasudevan-2020", known=(other,), **options)
    with pytest.raises(InputError, match=r"another comparison: paced_by is \{'range-test'"):
        run(tmp_path / "three", "vasudevan-2020", epochs=10, known=(other,))
    assert not (tmp_path / "three").exists()


def test_a_known_run_that_its_machine_lost_is_made_and_one_that_diverged_is_not(
    whole: Whole, tmp_path: Path
) -> None:
    lost, diverged = "its process was ended by SIGKILL", "training diverged in epoch 2 at learning rate 1"
    known = [json.loads(line) for line in (whole[0] / "rows.jsonl").read_text().splitlines()]
    mine = [row for row in known if row["method"] == "vasudevan-2020"]
    nothing = {"final": None, "best": None, "best_epoch": None, "test": [], "seconds": []}
    file = tmp_path / "rows.jsonl"
    ended = (("incomplete", lost), ("diverged", diverged))
    cut = [
        {**row, **nothing, "ended": how, "failure": text}
        for row, (how, text) in zip(mine, ended, strict=True)
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in cut))
    run(tmp_path / "out", "vasudevan-2020", known=(file,))
    found = rows(tmp_path / "out")
    assert [row["failure"] for row in found] == ["", diverged]
    assert found[0]["final"] == mine[0]["final"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (None, r"known must name a rows\.jsonl of a comparison, got .*rows\.jsonl: .*No such file"),
        ("{", r"rows\.jsonl, line 1: not a row of a comparison's rows\.jsonl: '\{'"),
        ('{"method": "adam"}', r"line 1: not a row of a comparison's rows\.jsonl"),
        ('{"workload": "mine", "epochs": 4, KNOWN}', r"another comparison: epochs is 4 there and 3 here"),
        ('{"workload": "digits", "epochs": 3, KNOWN}', r"workload is 'digits' there and 'mine' here"),
        ("", r"known must name a rows\.jsonl of a comparison, got .*rows\.jsonl, which is empty"),
        *(
            (
                '{"workload": "mine", "epochs": 3, KNOWN}'.replace("KNOWN", f"KNOWN, {wrong}"),
                "line 1: not a row of",
            )
            for wrong in ('"final": "abc"', '"final": NaN', '"seed": null', '"test": ["a"]')
        ),
    ],
)
def test_known_rows_that_cannot_be_used_are_refused_and_nothing_is_made(
    line: str | None, error: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "rows.jsonl", tmp_path / "out"
    known = (
        '"part": "test", "method": "adam", "lr": 0.1, "seed": 0, "final": 0.5, "best": 0.5, "best_epoch": 1,'
        ' "failure": "", "test": [0.4, 0.4, 0.5], "seconds": [1.0, 1.0, 1.0]'
    )
    if line is not None:
        file.write_text(line.replace("KNOWN", known))
    with pytest.raises(InputError, match=error):
        run(out, known=(file,))
    assert not out.exists()


BAD_INPUT = {
    "--methods sgd-cosin": r"unknown method 'sgd-cosin'; did you mean 'sgd-cosine'",
    "--methods sgd-cosine sgd-cosine": r"methods must differ, got 'sgd-cosine' twice",
    "--seeds 0": r"seeds must be in 1\.\.1000, got seeds = 0",
    "--tuning-seeds 1001": r"tuning_seeds must be in 1\.\.1000, got tuning_seeds = 1001",
    "--finalists 0": r"finalists must be >= 1, got finalists = 0",
    "--rates 0.1 -1": r"rates must be positive numbers, got -1",
    "--rates nan": r"rates must be positive numbers, got nan",
    "--rates inf": r"rates must be positive numbers, got inf",
    "--rates 0.1 0.3 0.1": r"rates must differ, got 0\.1 twice",
    "--methods hold-and-decay dog --rates 0.1": r"rates needs a baseline that is tuned, .*hold-and-decay, dog",
    "--methods sgd-cosine sgd-cosine-as-ours": r"first method, which must measure information, got sgd-cosine",
    "--methods sgd-cosine-as-ours": r"first method, which must measure information, got sgd-cosine-as-ours",
    "--methods hold-and-decay dog-as-ours": r"only a baseline that is tuned .* -as-ours, got 'dog-as-ours'",
    "--methods hold-and-decay-as-ours": r"takes no ending -as-ours, got 'hold-and-decay-as-ours'",
    "--methods sgd-cosin-as-ours": r"unknown method 'sgd-cosin'; did you mean 'sgd-cosine'",
    "--jobs 0": r"jobs must be >= 1, got jobs = 0",
    "--epochs 0": r"epochs must be >= 1, got epochs = 0",
    "--device tpu": r"device must be cpu, cuda or cuda:<index>, got device = 'tpu'",
}


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "digits", *line.split()]) == 2
    error = capsys.readouterr().err
    assert re.search(BAD_INPUT[line], error)
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_comparison_of_which_nothing_finished_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails = "if next(_batches) >= 2:\n        raise KeyError('no such table')\n    return F.cross_entropy"
    (tmp_path / "own.py").write_text(FILE.read_text().replace("return F.cross_entropy", fails))
    options = ["--methods", "vasudevan-2020", "dog", "--seeds", "1", "--jobs", "1", "--bounds", "workload"]
    assert main(["compare", f"{tmp_path}/own.py:MINE", *options, "--out", str(tmp_path / "out")]) == 3
    captured = capsys.readouterr()
    assert "| vasudevan-2020" in captured.out and "| dog" in captured.out
    assert captured.err.startswith("infopace: no run of the comparison has finished: ")
    assert "KeyError: 'no such table'" in captured.err
    assert captured.err.count("\n") == 1


def test_the_folder_of_a_run_is_no_comparison_s(tmp_path: Path) -> None:
    assert main(["train", OWN, "--bounds", "workload", "--epochs", "1", "--out", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="must be new, empty or hold one"):
        run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names


def test_another_workload_of_the_same_name_is_another_comparison(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FILE.read_text())
    own = f"{tmp_path}/own.py:MINE"
    run(tmp_path / "out", "vasudevan-2020", workload=own, seeds=1)
    (tmp_path / "own.py").write_text(
        FILE.read_text().replace("nn.Linear(8, 3)", "nn.Linear(8, 3, bias=False)")
    )
    with pytest.raises(InputError, match=r"holds another comparison: code is '.*' there and '.*' here"):
        run(tmp_path / "out", "vasudevan-2020", workload=own, seeds=1)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(InputError, match="must be new, empty or hold one"):
        run(tmp_path)
