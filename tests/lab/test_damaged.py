"""Files that no run wrote, one kind of damage after the other: a line that names the file, and nothing is changed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from infopace import RangeTest
from infopace.cli import main
from infopace.lab import data
from infopace.lab.compare import CompareConfig
from infopace.lab.compare._command import _check_same
from infopace.lab.compare._config import inputs_of, resolve_comparison
from infopace.lab.compare._jobs import FoundBounds, keep_bounds
from infopace.lab.run_folder import RunFolder
from infopace.lab.workload import Data

from .small import ROW

OWN = f"{Path(__file__).with_name('own.py')}:MINE"
_NUMBER = re.compile(rb"(?<=[:,\[] )-?[0-9][0-9.e+-]*|(?<=\[)-?[0-9][0-9.e+-]*")


def numbers_as(word: bytes) -> Callable[[bytes], bytes]:
    return lambda content: _NUMBER.sub(word, content)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda content: content[: len(content) // 2] + b"\n",
    "empty": lambda content: b"",
    "noise": lambda content: hashlib.shake_256(b"noise").digest(400) + b"\n",
    "list": lambda content: b"[1]\n",
    "text": lambda content: b'"settings"\n',
    "deep": lambda content: b"[" * 200_000 + b"\n",
    "deep object": lambda content: b'{"a":' * 200_000 + b"\n",
    "strings": numbers_as(b'"x"'),
    "nan": numbers_as(b"NaN"),
    "lists": numbers_as(b"[[]]"),
    "null": lambda content: b"null\n",
}


def damage(file: Path, how: str) -> None:
    if how == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(DAMAGES[how](file.read_bytes()))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", ".lock")
    }


def check_refused(
    whole: Path, name: str, commands: list[list[str]], damages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each damage to the file is one line that names it, by each command, and every file is as it was."""
    wrong = []
    for how in damages:
        folder = shutil.copytree(whole, whole.with_name("damaged"))
        damage(folder / name, how)
        before = contents(folder)
        for command in commands:
            code = main([*command, str(folder)])
            error = capsys.readouterr().err
            # A file that reads as another test or comparison is reported with its folder.
            if code != 2 or error.count("\n") != 1 or str(folder) not in error or contents(folder) != before:
                wrong.append((how, command[0], code, error[:300]))
        shutil.rmtree(folder)
    assert wrong == []


def train(tiny: Any, out: Path) -> list[str]:
    return ["train", "tiny", "--bounds", "workload", "--threads", "1", "--out"]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RangeTest, "plot", lambda found, path: path)


ALL = [*DAMAGES, "folder"]
_OF_NUMBERS = ("strings", "nan", "lists")  # which a file of tensors has none of


def test_the_record_of_a_run_without_its_checkpoints(
    tiny: Any, stop_at: Any, stopped: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(stopped):
        tiny.run(tmp_path / "run", stop_at(2))
    for checkpoint in RunFolder(tmp_path / "run").checkpoints():
        checkpoint.unlink()
    check_refused(tmp_path / "run", "run.json", [train(tiny, tmp_path)], ALL, capsys)


@pytest.mark.parametrize("name", ["epochs.jsonl", "summary.json", "run.json"])
def test_what_can_be_made_again_is(
    tiny: Any, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run(tmp_path / "whole")
    for how in DAMAGES:
        shutil.copytree(tmp_path / "whole", tmp_path / how)
        damage(tmp_path / how / name, how)
        assert main([*train(tiny, tmp_path), str(tmp_path / how)]) == 0, (how, capsys.readouterr())
        tiny.assert_same_ending(tmp_path / "whole", tmp_path / how)
    shutil.copytree(tmp_path / "whole", tmp_path / "folder")
    damage(tmp_path / "folder" / name, "folder")
    (tmp_path / "folder" / "picture.png").unlink()
    before = contents(tmp_path / "folder")
    capsys.readouterr()
    if name == "epochs.jsonl":
        assert main([*train(tiny, tmp_path), str(tmp_path / "folder")]) == 2
        assert re.fullmatch(
            r"infopace: cannot read .*epochs\.jsonl: Is a directory; [^\n]*\n", capsys.readouterr().err
        )
        assert contents(tmp_path / "folder") == before


CHECKPOINTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "noise": lambda state: None,
    "a list": lambda state: [1],
    "nothing": lambda state: {},
    "another epoch": lambda state: {**state, "epoch": 4},
    "an epoch that is a text": lambda state: {**state, "epoch": "3"},
    "no run": lambda state: {name: part for name, part in state.items() if name != "run"},
    "a run that is a list": lambda state: {**state, "run": [1]},
    "settings that are a text": lambda state: {**state, "run": {**state["run"], "settings": "x"}},
    "no model": lambda state: {name: part for name, part in state.items() if name != "model"},
    "a model that is a list": lambda state: {**state, "model": [1]},
    "other keys": lambda state: {**state, "model": {f"x{n}": v for n, v in state["model"].items()}},
    "other shapes": lambda state: {**state, "model": {n: v[:1] for n, v in state["model"].items()}},
    "texts for weights": lambda state: {**state, "model": dict.fromkeys(state["model"], "x")},
    "no optimizer": lambda state: {name: part for name, part in state.items() if name != "optimizer"},
    "an optimizer that is a number": lambda state: {**state, "optimizer": 3},
    "a text for a weight decay": lambda state: _with_groups(state, weight_decay="x"),
    "nothing for a momentum": lambda state: _with_groups(state, momentum=None),
    "a momentum of another shape": lambda state: _with_momentum(state, torch.ones(7)),
    "a momentum that is a list": lambda state: {
        **state,
        "optimizer": {**state["optimizer"], "state": [1, 2]},
    },
    "no scheduler": lambda state: {name: part for name, part in state.items() if name != "scheduler"},
    "a scheduler that is a list": lambda state: {**state, "scheduler": [1]},
}


def _with_groups(state: dict[str, Any], **parts: Any) -> dict[str, Any]:
    groups = [{**group, **parts} for group in state["optimizer"]["param_groups"]]
    return {**state, "optimizer": {**state["optimizer"], "param_groups": groups}}


def _with_momentum(state: dict[str, Any], momentum: torch.Tensor) -> dict[str, Any]:
    kept = {
        number: {**part, "momentum_buffer": momentum} for number, part in state["optimizer"]["state"].items()
    }
    return {**state, "optimizer": {**state["optimizer"], "state": kept}}


def test_a_checkpoint_with_the_right_digest_and_the_wrong_content(
    tiny: Any,
    stop_at: Any,
    stopped: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr("infopace.lab.run._CHECKPOINT_SHARE", float("inf"))  # one each epoch
    with pytest.raises(stopped):
        tiny.run(tmp_path / "run", stop_at(4))
    newest = RunFolder(tmp_path / "run").checkpoints()[0]
    state = torch.load(newest, weights_only=True)
    newest.unlink()
    wrong = []
    for how, change in CHECKPOINTS.items():
        folder = shutil.copytree(tmp_path / "run", tmp_path / "damaged")
        buffer = io.BytesIO()
        torch.save(change(state), buffer)
        content = b"noise" * 50 if how == "noise" else buffer.getvalue()
        name = f"epoch-0003-{hashlib.sha256(content).hexdigest()[:16]}.pt"
        (folder / name).write_bytes(content)
        before = contents(folder)
        code = main([*train(tiny, tmp_path), str(folder)])
        error = capsys.readouterr().err
        if code != 2 or error.count("\n") != 1 or name not in error or contents(folder) != before:
            wrong.append((how, code, error[:300]))
        shutil.rmtree(folder)
    assert wrong == []


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_files_of_a_range_test(tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--threads", "1", "--trials", "1", "--method", "paper", "--epochs-each", "1", "--low", "0.01"]
    command = ["range-test", "tiny", *options, "--high", "0.5", "--out"]
    assert main([*command, str(tmp_path / "test")]) in (0, 4)
    (tmp_path / "test" / "range-test.json").unlink(missing_ok=True)
    merge = ["range-test", "--merge"]
    check_refused(tmp_path / "test", "test.json", [command, merge], ALL, capsys)
    # Half a file has its last line torn: as a kill leaves it.
    whole = [how for how in ALL if how not in ("half", "empty")]
    check_refused(
        tmp_path / "test", "trial-0.jsonl", [command, merge], [h for h in whole if h != "folder"], capsys
    )
    check_refused(tmp_path / "test", "run.json", [command], ALL, capsys)


def test_the_files_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "whole"
    plan = resolve_comparison(CompareConfig(OWN, ("vasudevan-2020", "adam"), out=folder))
    inputs = inputs_of(plan, plan.workload.load())
    folder.mkdir()
    _check_same({**plan.settings(), **inputs}, plan)
    bounds = {"lr_min": 0.01, "lr_max": 0.2, "lr_top": 0.1, "epsilon": 0.001}
    keep_bounds(FoundBounds(bounds, 1.0, 2.0), folder)
    (folder / "known.jsonl").write_text(f"{json.dumps(ROW)}\n")
    command = ["compare", OWN, "--methods", "vasudevan-2020", "adam", "--out"]
    check_refused(folder, "compare.json", [command], ALL, capsys)
    check_refused(folder, "bounds.json", [command], ALL, capsys)
    check_refused(folder, "known.jsonl", [command], [how for how in ALL if how != "empty"], capsys)


def test_a_cache_of_images_that_is_none_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    sound = Data(images, torch.arange(3), images, torch.arange(3))
    data._write_cache(tmp_path / "cache.pt", sound)
    parts = torch.load(tmp_path / "cache.pt", weights_only=True)
    assert data._read_cache(tmp_path / "cache.pt") is not None
    for change in (
        [1],
        {},
        dict.fromkeys(parts, "x"),
        {**parts, "train_targets": torch.arange(2)},
        {**parts, "train_inputs": images.float()},
        {**parts, "test_inputs": images[0]},
        {**parts, "test_targets": torch.zeros(3)},
    ):
        torch.save(change, tmp_path / "other.pt")
        assert data._read_cache(tmp_path / "other.pt") is None
    whole = (tmp_path / "cache.pt").read_bytes()
    for how in [how for how in DAMAGES if how not in _OF_NUMBERS]:
        (tmp_path / "other.pt").write_bytes(DAMAGES[how](whole))
        assert data._read_cache(tmp_path / "other.pt") is None, how
    assert data._read_cache(tmp_path) is None
