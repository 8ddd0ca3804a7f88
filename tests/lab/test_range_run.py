"""`infopace range-test` as a user meets it, and `infopace train` that runs it first."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab import workloads
from infopace.lab.range_config import RangeTestConfig, resolve_range
from infopace.lab.tasks import ACCURACY, Task

from .small import ONE_PAPER_TRIAL

# Its import sets up logging anew and closes the handlers there are. That of absl, which comes with Keras, would close
# the file to which pytest's output goes if this happened while a test reads what is written.
with contextlib.suppress(ImportError):
    import submitit as submitit

OWN = f"{Path(__file__).with_name('own.py')}:MINE"
FLAGS = {
    "workload": "digits",
    "method": "race",
    "optimizer": None,
    "attribute": "auto",
    "trials": None,
    "epochs": None,
    "low": None,
    "high": None,
    "share": 0.1,
    "epochs_each": 5,
    "c1": 10.0,
    "c2": 1.0,
    "layer_wise": False,
    "seed": 0,
    "device": "cpu",
    "bf16": False,
    "threads": None,
    "out": None,
    "trial": None,
    "merge": None,
    "farm": "no",
}


def test_the_command_line_is_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    assert {field.name: field.default for field in dataclasses.fields(RangeTestConfig)} == FLAGS
    assert main(["range-test", "--help"]) == 0
    shown = set(re.findall(r"--([a-z0-9][a-z0-9-]*)", capsys.readouterr().out)) - {"help"}
    assert shown == {name.replace("_", "-") for name in FLAGS if name != "workload"}


def test_what_affects_the_numbers_gives_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other: dict[str, Any] = {
        "method": "paper",
        "attribute": "loss",
        "trials": 2,
        "epochs": 3,
        "low": 1e-4,
        "high": 1.0,
        "share": 0.2,
        "layer_wise": True,
        "seed": 1,
        "bf16": True,
    }
    one = RangeTestConfig()
    folders = {resolve_range(dataclasses.replace(one, **{n: v})).folder(None) for n, v in other.items()}
    assert len(folders | {resolve_range(one).folder(None)}) == 1 + len(other)
    paper = RangeTestConfig(method="paper")
    folders = {
        resolve_range(dataclasses.replace(paper, **limits)).folder(None)
        for limits in ({}, {"low": 1e-4}, {"high": 2.0}, {"c1": 30.0}, {"c2": 0.01}, {"epochs_each": 1})
    }
    assert len(folders) == 6


BAD_INPUT = {
    "range-test digit": r"unknown workload 'digit'",
    "range-test --trials 0": r"trials must be at least 1, got 0",
    "range-test --share 2": r"share must be in \(0, 1\], got 2\.0",
    "range-test --epochs 0": r"epochs must be >= 1, got epochs = 0",
    "range-test --low 0": r"low must be a positive number, got 0",
    "range-test --high nan": r"high must be a positive number, got nan",
    "range-test --high inf": r"high must be a positive number, got inf",
    "range-test --low 0.2 --high 0.1": r"low and high must be .*, got low = 0\.2 and high = 0\.1",
    "range-test --low 0.2 --high 1": r"at least a decade apart, got low = 0\.2 and high = 1",
    "range-test --method paper --low -1": r"low must be a positive number, got -1",
    "range-test --method paper --high inf": r"high must be a positive number, got inf",
    "range-test --method paper --low nan": r"low must be a positive number, got nan",
    "range-test --method paper --low 2": r"low must be < high, got low = 2 and high = 1",
    "range-test --method paper --low 0.3": r"must have at least 3 candidates .* between them, got 0\.3 and 1",
    "range-test --method paper --c1 0": r"c1 must be a positive number, got 0\.0",
    "range-test --trial 1 --farm local": r"got both: 1 and local",
    "range-test --c1 3": r"c1 belongs to --method paper, got c1 = 3\.0 with race",
    "range-test --epochs-each 3": r"epochs_each belongs to --method paper, got epochs_each = 3 with race",
    "range-test --method paper --share 0.2": r"share belongs to --method race, got share = 0\.2 with paper",
    "range-test --merge nowhere --trials 7": r"--merge sums up what is there and takes no trials, got trials = 7",
    "range-test --trials 2 --trial 2": r"trial must be in 0\.\.1, got 2",
    "range-test --merge nowhere": r"must hold a range test, got nowhere without test\.json",
    "range-test --device tpu": r"device must be cpu, cuda or cuda:<index>, got device = 'tpu'",
}


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2_and_leaves_nothing(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    assert re.fullmatch(rf"infopace: [^\n]*{BAD_INPUT[line]}[^\n]*\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small(tiny: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The tiny workload, without its drawing, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    assert "tiny" in workloads.WORKLOADS
    return tmp_path


def bounds(folder: Path) -> dict[str, float]:
    return json.loads((folder / "range-test.json").read_text())["bounds"]


@pytest.mark.slow
def test_it_ends_with_the_bounds_the_table_and_the_picture(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["range-test", "tiny", "--threads", "1", "--trials", "2", "--out", "found"]
    assert main(command) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == ["folder: found", "picture: found/picture.png"]
    found = bounds(small / "found")
    assert f"lr_top   {found['lr_top']:.3g}" in "\n".join(out)
    assert (small / "found/picture.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((small / "found/range-test.json").read_text())["table"]
    assert [row["lr"] for row in rows] == sorted(row["lr"] for row in rows)
    for row in rows:
        low, high = row["range"]["final_loss"]
        assert low <= row["final_loss"] <= high and (low < high or row["trials"] == 1)

    assert main(command) == 0  # finished: nothing is run again
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("trial ")]
    assert main([*command, "--seed", "1"]) == 2
    assert "holds another range test: seed is 0 there and 1 here" in capsys.readouterr().err
    (small / "found2").mkdir()
    (small / "found2/thesis.tex").write_text("x")
    assert main([*command[:-1], "found2"]) == 2
    assert "must be new, empty or hold one" in capsys.readouterr().err


def tried(folder: Path) -> list[float]:
    """Every rate of the first trial."""
    lines = (folder / "trial-0.jsonl").read_text().splitlines()
    return sorted(row["lr"] for row in map(json.loads, lines) if "lr" in row)


@pytest.mark.slow
def test_a_refusal_for_its_range_is_answered_with_low_and_high(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["range-test", "tiny", "--threads", "1", "--trials", "1", "--out"]
    assert main([*command, "narrow", "--high", "0.02"]) == 4
    assert "the largest candidate, 0.0178, still learns as well as the best; raise `high`" in (
        capsys.readouterr().err
    )
    assert max(tried(small / "narrow")) == 0.0178
    assert main([*command, "narrow", "--high", "100"]) == 2  # another test: another folder
    assert "holds another range test: high is 0.02 there and 100.0 here" in capsys.readouterr().err
    assert main([*command, "wide", "--high", "100"]) == 0
    assert max(tried(small / "wide")) == 100
    assert main([*command, "high", "--low", "1"]) == 4
    capsys.readouterr()
    assert min(tried(small / "high")) == 1

    paper = [*command, "paper", "--method", "paper", "--epochs-each", "1", "--attribute", "loss"]
    assert main([*paper, "--low", "0.003", "--high", "0.05"]) in (0, 4)
    assert tried(small / "paper") == [0.005, 0.01, 0.02, 0.05]


@pytest.mark.slow
def test_trials_alone_and_merged_give_what_one_process_gives(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["range-test", "tiny", "--threads", "1", "--trials", "2", "--out"]
    assert main([*command, "whole"]) == 0
    assert main([*command, "parts", "--trial", "1"]) == 0
    assert "trial 1 is finished; 1 of 2 trials are not finished" in capsys.readouterr().out
    assert main(["range-test", "--merge", "parts"]) == 4
    assert "1 of 2 trials are not finished" in capsys.readouterr().err
    assert main([*command, "parts", "--trial", "0"]) == 0
    assert main(["range-test", "--merge", "parts"]) == 0
    assert bounds(small / "parts") == bounds(small / "whole")


@pytest.mark.slow
def test_trials_farmed_out_to_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["range-test", OWN, "--threads", "1", "--trials", "2", "--epochs", "2", "--method", "paper"]
    command += ["--epochs-each", "1", "--attribute", "loss", "--low", "0.01", "--high", "0.2"]
    codes = {main([*command, "--farm", "local", "--out", "farmed"]), main([*command, "--out", "alone"])}
    assert len(codes) == 1 and codes <= {0, 4}
    assert "note: trials 0, 1: one local job each, logs in farmed/jobs" in capsys.readouterr().out
    assert "lr 0.01" in (tmp_path / "farmed/jobs/trial-1.log").read_text()
    assert {path.name for path in (tmp_path / "farmed").glob("trial-*.jsonl")} == {
        "trial-0.jsonl",
        "trial-1.jsonl",
    }
    assert tried(tmp_path / "farmed") == tried(tmp_path / "alone")


def test_a_job_that_was_killed_is_one_line_and_the_same_command_runs_its_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(OWN.partition(":")[0], tmp_path)
    (tmp_path / "bomb").write_text("3")  # after the two batches of the trial of the workload
    command = ["range-test", f"{tmp_path / 'own.py'}:MINE", *ONE_PAPER_TRIAL, "--farm", "local"]
    command += ["--low", "0.01", "--high", "0.2"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 4
    assert capsys.readouterr().err == (
        "infopace: 1 of 1 jobs ended without their trials, the first trial 0: its process was ended by SIGKILL, which "
        "the system also sends when memory is short; the same command runs what is missing\n"
    )
    assert main([*command, "--out", str(tmp_path / "out")]) == 4
    assert capsys.readouterr().err.startswith("infopace: the range is too narrow: the best rate, 0.2, is the")
    assert len(tried(tmp_path / "out")) == 5


def test_slurm_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert main(["range-test", "digits", "--farm", "slurm"]) == 2
    assert re.fullmatch(r"infopace: slurm cannot start jobs here: [^\n]*\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_refusal_has_an_exit_code_of_its_own(
    small: Path, tiny: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.change(task=Task(lambda outputs, targets: (outputs * 0).sum() + 1.0, ACCURACY))
    assert main(["range-test", "tiny", "--threads", "1", "--trials", "1"]) == 4
    assert re.fullmatch(r"infopace: every candidate from 10 down to [^\n]*\n", capsys.readouterr().err)
    assert main(["train", "tiny", "--threads", "1", "--bounds", "range-test"]) == 4
    assert "give --lr-min and --lr-max, or --bounds workload" in capsys.readouterr().err


@pytest.mark.slow
def test_train_without_bounds_runs_it_first_and_keeps_it(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "tiny", "--threads", "1", "--epochs", "2", "--bounds", "range-test", "--out", "run"]
    assert main(command) == 0
    assert "so a range test runs first, in run/range-test" in capsys.readouterr().out
    found = bounds(small / "run/range-test")
    record = json.loads((small / "run/run.json").read_text())
    assert record["bounds"] == found
    assert record["settings"]["lr_max"] == "range test"
    row = json.loads((small / "run/epochs.jsonl").read_text().splitlines()[1])
    assert row["lr"] == [found["lr_top"]]

    assert (
        main(["train", "tiny", "--threads", "1", "--epochs", "2", "--lr-max", "0.5", "--out", "capped"]) == 0
    )
    capped = json.loads((small / "capped/run.json").read_text())
    assert capped["bounds"]["lr_max"] == 0.5
    assert capped["bounds"]["lr_min"] == found["lr_min"]

    given = [*command[:-1], "given", "--lr-min", "0.001", "--lr-max", "0.1"]
    assert main(given) == 0
    assert not (small / "given/range-test").exists()
