"""A disk that is full in the middle of a line: whole lines stay, the error names the file, and the run goes on later.

A limit on the size of files stands for the full disk: the system writes what fits, and refuses the rest.
"""

from __future__ import annotations

import contextlib
import errno
import math
import pickle
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab import run as run_module
from infopace.lab.errors import WriteFailed
from infopace.lab.files import append_line, write_atomically
from infopace.lab.progress import PlainProgress
from infopace.range_test import Candidate, Evaluation
from infopace.range_test._trial_files import TrialFolder


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_does_not_fit_leaves_the_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_line(path, b"one\n")
    with files_of_at_most(6), pytest.raises(WriteFailed) as full:
        append_line(path, b"two two\n")
    assert path.read_bytes() == b"one\n"
    assert str(full.value) == (
        f"cannot write {path}: File too large; free some space, then give the same command again"
    )
    append_line(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("torn", [b"", b"tw", b"one\ntw", b"one\n"])
def test_what_a_kill_tore_is_cut_off_before_a_line_is_appended(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(torn)
    append_line(path, b"two\n")
    assert path.read_bytes() == torn[: torn.rfind(b"\n") + 1] + b"two\n"


def test_a_file_that_does_not_fit_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    with files_of_at_most(6), pytest.raises(WriteFailed, match=f"cannot write {path}: File too large; free"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_the_error_of_a_full_disk_says_what_to_do_in_another_process_too() -> None:
    error = pickle.loads(
        pickle.dumps(WriteFailed(errno.ENOSPC, "No space left on device", "runs/one/run.json"))
    )
    assert str(error) == (
        "cannot write runs/one/run.json: No space left on device; free some space, then give the same command again"
    )
    refused = WriteFailed(errno.EACCES, "Permission denied", "run.json")
    assert str(refused).startswith(
        "cannot write run.json: Permission denied; make it writable or choose another"
    )


class DiskFull(PlainProgress):
    """Lets the disk have room for some more bytes of rows only, from the first batch of an epoch on."""

    def __init__(self, rows: Path, epoch: int, room: int) -> None:
        super().__init__([].append)
        self._rows, self._epoch, self._room = rows, epoch, room
        self.limits = contextlib.ExitStack()
        self._seen = 0

    def epoch(self, row: Any) -> None:
        self._seen = row["epoch"]

    def batch(self, done: int, total: int) -> None:
        if self._seen == self._epoch - 1 and done == 1:
            self.limits.enter_context(files_of_at_most(self._rows.stat().st_size + self._room))


@pytest.mark.parametrize("room", [0, 1, 60])
def test_a_run_on_a_full_disk_goes_on_where_it_was(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    tiny.run(tmp_path / "whole")
    rows = tmp_path / "cut" / "epochs.jsonl"
    full = DiskFull(rows, 4, room)
    with (
        pytest.raises(WriteFailed, match=r"cannot write .*cut/epochs\.jsonl: File too large; free"),
        full.limits,
    ):
        tiny.run(tmp_path / "cut", full)
    assert rows.read_bytes().endswith(b"}\n") and len(rows.read_bytes().splitlines()) == 4
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_rows_with_a_torn_line_behind_the_last_checkpoint_lose_none(
    tiny: Any, stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_CHECKPOINT_SHARE", float("inf"))  # one each epoch
    tiny.run(tmp_path / "whole")

    class Stop(DiskFull):
        def batch(self, done: int, total: int) -> None:
            if self._seen == 3:
                raise stopped

    with pytest.raises(stopped):
        tiny.run(tmp_path / "cut", Stop(tmp_path, 0, 0))
    with open(tmp_path / "cut" / "epochs.jsonl", "ab") as file:
        file.write(b'{"epoch": 4, "lr": [0.0')
    tiny.run(tmp_path / "cut")
    tiny.assert_same_ending(tmp_path / "whole", tmp_path / "cut")


def test_a_trial_on_a_full_disk_keeps_its_whole_candidates(tmp_path: Path) -> None:
    folder, path = TrialFolder(tmp_path, {}), tmp_path / "trial-0.jsonl"
    one = Candidate(0.1, (Evaluation(0, 1.0, (1.0,), None, {}, math.nan, 5),), "", 0.1, 0)
    with folder.claim(0) as claim:
        assert claim is not None
        claim.keep(one)
        whole = path.read_bytes()
        with (
            files_of_at_most(len(whole) + 9),
            pytest.raises(OSError, match=r"File too large: '.*trial-0\.jsonl'"),
        ):
            claim.keep(one)
    assert path.read_bytes() == whole
    with folder.claim(0) as claim:
        assert claim is not None
        claim.keep(one)
    assert path.read_bytes() == 2 * whole


def test_a_run_that_finds_no_room_at_all_is_one_line(
    tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with files_of_at_most(100):
        code = main(["train", "tiny", "--bounds", "workload", "--threads", "1", "--out", str(out)])
    assert code == 2
    assert capsys.readouterr().err == (
        f"infopace: cannot write {out}/run.json: File too large; free some space, then give the same command again\n"
    )
