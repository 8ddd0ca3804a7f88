"""The command line as a user meets it: its flags, its one-line errors, its exit codes, its last lines."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infopace.cli import main
from infopace.lab.baselines import BASELINES
from infopace.lab.compare import CompareConfig
from infopace.lab.config import PACED, TrainConfig
from infopace.lab.measure import MeasureConfig
from infopace.lab.report import ReportConfig
from infopace.lab.workloads import WORKLOADS

# The frozen command line. A change here is a change of the public interface: CHANGELOG.
FLAGS = {
    "workload": "digits",
    "method": "infopace",
    "optimizer": None,
    "lr": None,
    "signal": "auto",
    "every": None,
    "bounds": "auto",
    "lr_min": None,
    "lr_max": None,
    "lr_top": None,
    "epsilon": None,
    "horizon": "known",
    "stop_early": False,
    "layer_wise": False,
    "held_out": None,
    "validation": 0.0,
    "diagnostics": None,
    "decay": "linear",
    "saturation": "absolute",
    "first_lr": "top",
    "epochs": None,
    "budget": None,
    "seed": 0,
    "device": "cpu",
    "bf16": False,
    "threads": None,
    "out": None,
    "track": (),
}
MEASURE_FLAGS = {
    "x": dataclasses.MISSING,
    "y": None,
    "estimator": "auto",
    "k": 3,
    "norm": "euclidean",
    "permutations": None,
    "missing": "refuse",
    "header": "auto",
    "json": False,
}
COMPARE_FLAGS = {
    "workload": "digits",
    "methods": (),
    "optimizer": None,
    "suite": None,
    "quick": False,
    "seeds": None,
    "tuning_seeds": 3,
    "finalists": 3,
    "rates": (),
    "signal": "auto",
    "every": None,
    "bounds": "range-test",
    "epochs": None,
    "device": "cpu",
    "jobs": None,
    "known": (),
    "out": None,
}
REPORT_FLAGS = {"folders": dataclasses.MISSING, "out": Path("report.html")}


def test_the_command_line_is_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    assert {field.name: field.default for field in dataclasses.fields(TrainConfig)} == FLAGS
    assert main(["train", "--help"]) == 0
    shown = set(re.findall(r"--([a-z][a-z0-9-]*)", capsys.readouterr().out)) - {"help"}
    assert shown == {name.replace("_", "-") for name in FLAGS if name != "workload"}
    assert {field.name: field.default for field in dataclasses.fields(MeasureConfig)} == MEASURE_FLAGS
    assert main(["measure", "--help"]) == 0
    shown = set(re.findall(r"--([a-z][a-z0-9-]*)", capsys.readouterr().out)) - {"help"}
    assert shown == set(MEASURE_FLAGS) - {"x", "y"}
    assert {field.name: field.default for field in dataclasses.fields(CompareConfig)} == COMPARE_FLAGS
    assert main(["compare", "--help"]) == 0
    shown = set(re.findall(r"--([a-z][a-z0-9-]*)", capsys.readouterr().out)) - {"help"}
    assert shown == {name.replace("_", "-") for name in COMPARE_FLAGS if name != "workload"}
    assert {field.name: field.default for field in dataclasses.fields(ReportConfig)} == REPORT_FLAGS
    assert main(["report", "--help"]) == 0
    assert set(re.findall(r"--([a-z][a-z0-9-]*)", capsys.readouterr().out)) - {"help"} == {"out"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"infopace \S+\n", capsys.readouterr().out)


def test_the_help_names_every_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = re.sub(r"[\s│|]+", " ", capsys.readouterr().out)
    assert len(WORKLOADS) == 31
    assert [name for name in WORKLOADS if name not in shown] == []


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    words = set(re.split(r"[\s│|:;.,]+", capsys.readouterr().out))
    assert [name for name in (*PACED, *BASELINES) if name not in words] == []


BAD_INPUT = {
    "train digit": r"unknown workload 'digit'; did you mean 'digits' or '[a-z-]+'\? The workloads are: digits,",
    "train mnist": r"unknown workload 'mnist'; did you mean 'mnist-1k' or 'mnist-mlp'\?",
    "train own:": r"a workload of your own must be module:object or path/to/file\.py:object, got 'own:'",
    "train own.py:MINE": r"no file own\.py",
    "train no_such_module:MINE": r"no module 'no_such_module', neither installed nor in ",
    "train json:loads": r"json:loads must be an infopace\.lab\.workload\.Workload, got function",
    "train --lr-mim 0.1": r"Unrecognized options: --lr-mim, 0\.1",
    "train digits extra": r"Unrecognized options: extra",
    "train --lr-min high": r"Error parsing --lr-min: .*\['high'\]",
    "train --decay cosine": r"invalid choice 'cosine'.*linear.*printed.*none",
    "train --epochs": r"Missing value for argument '--epochs'",
    "trian": r"Unrecognized options: trian",
    "": r"Expected one of \{train,\s*range-test,\s*compare,\s*measure,\s*report\}",
    "report": r"report needs at least one run folder, got none",
    "report nowhere": r"no folder nowhere",
    "measure": r"Missing from infopace measure: X .*; see infopace measure --help",
    "train --method sgd-cosin": r"unknown method 'sgd-cosin'; did you mean 'sgd-cosine' or 'sgd-[\w-]+'\?"
    r" The methods are: infopace, hold-and-decay, vasudevan-2020, vasudevan-2018-a,",
    "train --method Adam_W": r"unknown method 'Adam_W'; did you mean 'adam' or '\w+'\?",
    "train --method sgd-cosine": r"sgd-cosine has no published learning rate; give --lr",
    "train --method sgd-cosine --lr 0": r"lr must be a positive number, got 0",
    "train --method adam --lr inf": r"lr must be a positive number, got inf",
    "train --lr 0.1": r"lr is an option of baselines, got lr = 0\.1; infopace takes --lr-min and --lr-max",
    "train --decay none": r"decay is an option of vasudevan-2020, not of infopace, got decay = none",
    "train --saturation signed": r"saturation is an option of vasudevan-2020, not of infopace, got",
    "train --method wang-2024 --first-lr information": r"first_lr is an option of vasudevan-2020, not of wang",
    "train --method vasudevan-2020 --horizon free": r"horizon is an option of infopace and hold-and-decay, not",
    "train --method adam --layer-wise": r"layer_wise is an option of paced methods, not of adam, got layer_wise = True",
    "train --method adam --held-out 0.2": r"held_out is an option of paced methods, not of adam, got held_out = 0\.2",
    "train --method wang-2024 --held-out 0.2": r"held_out is an option of infopace and hold-and-decay, not",
    "train --held-out 1": r"held_out must be a share in \[0, 1\), got held_out = 1",
    "train --held-out nan": r"held_out must be a share in \[0, 1\), got held_out = nan",
    "train --method dog --lr-max 0.2": r"lr_max is an option of paced methods, not of dog, got lr_max = 0\.2",
    "train --lr-min 0.3 --lr-max 0.2": r"lr_min must be <= lr_max, got lr_min = 0\.3 with lr_max = 0\.2",
    "train --lr-min 0": r"lr_min must be a positive number, got 0",
    "train --lr-max nan": r"lr_max must be a positive number, got nan",
    "train --lr-top 7 --bounds workload": r"lr_top must be in lr_min\.\.lr_max, got lr_top = 7",
    "train --epsilon -1": r"epsilon must be a positive number, got -1",
    "train --epochs 0": r"epochs must be >= 1, got epochs = 0",
    "train --seed -1": r"seed must be in 0\.\.2\^63-1, got seed = -1",
    "train --threads 0": r"threads must be in 1\.\.1024, got threads = 0",
    "train --threads 99999999999999": r"threads must be in 1\.\.1024, got threads = 99999999999999",
    "train --out ": r"--out must be followed by a value, got ''",
    "train --out=": r"--out must be followed by a value, got ''",
    "train --out=\t": r"--out must be followed by a value, got '\\t'",
    "measure ": r"measure must be followed by a value, got ''",
    "range-test --merge ": r"--merge must be followed by a value, got ''",
    "compare --known ": r"--known must be followed by a value, got ''",
    "report runs ": r"runs must be followed by a value, got ''",
    "train --device tpu": r"device must be cpu, cuda or cuda:<index>, got device = 'tpu'",
    "train --device cpu:1": r"device must be cpu, cuda or cuda:<index>, got device = 'cpu:1'",
}


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2_and_leaves_nothing(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split(" ") if line else []) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(rf"infopace: [^\n]*{BAD_INPUT[line]}[^\n]*\n", captured.err), captured.err
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "--device", "cuda"]) == 2
    assert re.search(r"device = 'cuda' needs a GPU.*use --device cpu", capsys.readouterr().err)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert main(["train", "--device", "cuda:2"]) == 2
    assert "device index must be in 0..1, got device = 'cuda:2'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# Their data come with scikit-learn.
_FROM_A_PACKAGE = {"digits", "digits-mlp", "cancer-mlp", "diabetes", "flipped", "friedman-300", "friedman-2k"}


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name not in _FROM_A_PACKAGE])
def test_a_missing_data_folder(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INFOPACE_DATA", str(tmp_path / "nowhere"))
    assert main(["train", workload]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"infopace: [^\n]*nowhere[^\n]*INFOPACE_DATA = [^\n]*put the [^\n]*\n", error), error
    assert not list(tmp_path.iterdir())


def test_the_regression_needs_its_folder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INFOPACE_DATA", raising=False)
    assert main(["train", "uci-temperature"]) == 2
    assert "uci-temperature needs INFOPACE_DATA, which is not set" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_out_folder_with_something_else_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    assert main(["train", "--out", str(tmp_path)]) == 2
    assert "the run folder must be new, empty or hold a run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert main(["train", "--out", str(tmp_path / "thesis.tex")]) == 2
    assert "the run folder must be a folder, got the file" in capsys.readouterr().err


def test_train_ends_with_the_metric_the_folder_and_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "--epochs", "1", "--seed", "3", "--threads", "1", "--bounds", "workload"]
    assert main(command) == 0
    *_, metric, folder, picture = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"test accuracy \d\d\.\d\d % after 1 epoch \(best \d\d\.\d\d %, epoch 1\)", metric)
    found = re.fullmatch(r"run folder: (runs/digits-infopace-held-out-seed3-[0-9a-f]{6})", folder)
    assert found is not None
    assert picture == f"picture: {found[1]}/picture.png"
    assert Path(found[1], "picture.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in Path(found[1]).iterdir() if not p.name.startswith("epoch-")} == {
        "run.json",
        "epochs.jsonl",
        "summary.json",
        "picture.png",
        "lock",
    }

    assert main(command) == 0  # finished: says so, and shows it again
    again = capsys.readouterr().out.splitlines()
    assert "to train again" in again[0]
    assert again[-3:] == [metric, folder, picture]

    assert main([*command[:2], "2", *command[3:], "--out", found[1]]) == 2
    assert "holds a run with another config: epochs is 1 there and 2 here" in capsys.readouterr().err
    assert main([*command, "--out", found[1], "--threads", "2"]) == 2
    assert "threads is 1 there and 2 here" in capsys.readouterr().err

    with open(Path(found[1], "lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(command) == 2
    assert "another process is running in runs/digits-infopace-held-out-seed3" in capsys.readouterr().err


def test_what_affects_the_numbers_gives_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from infopace.lab.config import resolve

    monkeypatch.chdir(tmp_path)
    other: dict[str, object] = {
        "workload": "mnist-lenet",
        "lr_min": 0.002,
        "lr_max": 0.1,
        "lr_top": 0.04,
        "epsilon": 0.02,
        "layer_wise": True,
        "method": "wang-2024",
        "horizon": "free",
        "held_out": 0.25,
        "epochs": 7,
        "seed": 1,
        "bf16": True,
    }
    switches: dict[str, object] = {"decay": "none", "saturation": "signed", "first_lr": "information"}
    paper = {"method": "vasudevan-2020"}
    commands = [{}, *({name: value} for name, value in other.items())]
    commands += [paper, *({**paper, name: value} for name, value in switches.items())]
    folders = {resolve(TrainConfig(**command)).folder() for command in commands}
    assert len(folders) == len(commands) == 1 + len(other) + 1 + len(switches)
    assert resolve(TrainConfig(threads=3)).folder() == resolve(TrainConfig()).folder()
    bounds = resolve(TrainConfig(lr_max=0.04, bounds="workload")).bounds
    assert bounds is not None and bounds.lr_top == 0.04  # the workload's, cut to lr_max


def test_the_installed_command_reports_through_a_real_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ran = subprocess.run(
        [sys.executable, "-m", "infopace.cli", "train", "diigts"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("infopace: unknown workload 'diigts'; did you mean 'digits' or")
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
