"""What a kill during the first writes leaves, a temporary file, is as if nothing were there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infopace import RangeTest
from infopace.cli import main
from infopace.lab.compare import CompareConfig, compare

from .small import ONE_PAPER_TRIAL

OWN = f"{Path(__file__).with_name('own.py')}:MINE"
LEFT = (".run.json.7.tmp", ".test.json.7.tmp", ".compare.json.7.tmp", ".range-test.json.7.tmp")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the tests' trials; test_range_run.py draws."""
    monkeypatch.setattr(RangeTest, "plot", lambda found, path: path)


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def leave(folder: Path) -> None:
    folder.mkdir()
    for name in LEFT:
        (folder / name).write_bytes(b'{"settings": {"wor')


@pytest.mark.parametrize("before", ["", ".lock", "jobs"])
def test_a_range_test_begins_where_one_was_killed_in_its_first_write(
    tiny: Any, tmp_path: Path, before: str
) -> None:
    leave(tmp_path / "out")
    if before == "jobs":
        (tmp_path / "out" / before).mkdir()
    elif before:
        (tmp_path / "out" / before).touch()
    command = ["range-test", "tiny", "--threads", "1", "--trials", "1", "--out", str(tmp_path / "out")]
    assert main([*command, "--method", "paper", "--epochs-each", "1", "--low", "0.1", "--high", "0.5"]) in (
        0,
        4,
    )
    assert (tmp_path / "out" / "trial-0.jsonl").read_text().endswith('{"finished": true}\n')
    assert not left_in(tmp_path / "out")


def test_a_comparison_begins_where_one_was_killed_in_its_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path / "out")
    (tmp_path / "out" / "lock").touch()

    class Begun(Exception):
        pass

    def begin(*arguments: Any) -> None:
        raise Begun

    monkeypatch.setattr("infopace.lab.compare._bench.on_this_machine", begin)
    with pytest.raises(Begun):
        compare(CompareConfig(OWN, ("adam",), out=tmp_path / "out"), [].append)
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["settings"]["workload"] == "mine"
    assert not left_in(tmp_path / "out")


def test_a_run_begins_where_one_was_killed_in_its_first_write(tiny: Any, tmp_path: Path) -> None:
    leave(tmp_path / "out")
    tiny.run(tmp_path / "out")
    assert not left_in(tmp_path / "out")


def test_what_is_no_leftover_is_somebody_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.tmp").touch()
    for command in ("train", "range-test", "compare"):
        assert main([command, OWN, "--out", str(tmp_path)]) == 2
        assert "must be new, empty or hold" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.tmp"]


KILLED_IN_A_WRITE = """
import os, signal, sys
from infopace.range_test import _trial_files
at, command = int(sys.argv[1]), sys.argv[2:]
writes = 0
def counted(call):
    def counting(*arguments):
        global writes
        writes += 1
        if writes == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return counting
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
from infopace.cli import main
sys.exit(main(command))
"""


_SLOW = [pytest.param(at, marks=pytest.mark.slow) for at in (2, 4, 5)]


@pytest.mark.parametrize("at", [1, 3, *_SLOW])
def test_killed_in_each_of_its_first_writes_a_range_test_ends_all_the_same(tmp_path: Path, at: int) -> None:
    """A real kill, at each flush and each renaming of a file until the first candidate is kept."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [
        "range-test",
        OWN,
        *ONE_PAPER_TRIAL,
        "--low",
        "0.01",
        "--high",
        "0.5",
        "--out",
        str(tmp_path / "out"),
    ]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_WRITE, str(at), *command], env=environment, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert main(command) in (0, 4)
    assert (tmp_path / "out" / "trial-0.jsonl").read_text().endswith('{"finished": true}\n')
    assert not left_in(tmp_path / "out")
