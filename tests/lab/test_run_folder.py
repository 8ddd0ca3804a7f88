"""The run folder's files: whole or absent, and held by one process at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from infopace.lab import files
from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.run_folder import RunFolder


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_rows_end_at_the_first_that_is_torn_missing_or_out_of_order(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_rows() == []
    for epoch in (0, 1, 3):
        folder.append_row({"epoch": epoch})
    assert folder.read_rows() == [{"epoch": 0}, {"epoch": 1}]
    (tmp_path / "epochs.jsonl").write_bytes(b'{"epoch": 0}\n{"epoch": 1}')  # without its newline: torn
    assert folder.read_rows() == [{"epoch": 0}]
    (tmp_path / "epochs.jsonl").write_bytes(b'{"epoch": 0}\n[1]\n{"epoch": 1}\n')
    assert folder.read_rows() == [{"epoch": 0}]
    (tmp_path / "epochs.jsonl").write_bytes(b'{"epoch": 0}\n\xff\xfe\n')
    assert folder.read_rows() == [{"epoch": 0}]


def test_rows_keep_every_bit_of_a_number(tmp_path: Path) -> None:
    row = {"epoch": 0, "loss": 0.1 + 0.2, "tiny": 5e-324, "name": "°C"}
    RunFolder(tmp_path).append_row(row)
    assert RunFolder(tmp_path).read_rows() == [row]


def test_the_last_two_checkpoints_stay_and_their_names_carry_a_digest(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    paths = [
        folder.save_checkpoint(epoch, {"epoch": epoch, "w": torch.ones(3)}) for epoch in (2, 9, 10, 1000)
    ]
    assert folder.checkpoints() == [paths[3], paths[2]]
    assert sorted(tmp_path.glob("epoch-*")) == sorted(paths[2:])
    state = folder.load_checkpoint(paths[3])
    assert state is not None
    assert state["epoch"] == 1000
    renamed = tmp_path / paths[3].name.replace("1000-", "0007-").replace(paths[3].name[-7:-3], "ffff")
    paths[3].rename(renamed)
    assert folder.load_checkpoint(renamed) is None


def test_json_that_is_torn_or_no_object_reads_as_absent(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_json("run.json") is None
    for content in (b'{"a": ', b"", b"[]", b"\xff"):
        (tmp_path / "run.json").write_bytes(content)
        assert folder.read_json("run.json") is None
    folder.write_json("run.json", {"a": 1.5})
    assert folder.read_json("run.json") == {"a": 1.5}
    with pytest.raises(ValueError, match="nan"):
        folder.write_json("run.json", {"a": float("nan")})
    assert folder.read_json("run.json") == {"a": 1.5}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        # A second descriptor stands for a second process: flock is held by the descriptor.
        with (
            pytest.raises(InputError, match=r"another process is running in .*run; wait for it"),
            folder.locked(),
        ):
            pass
        folder.append_row({"epoch": 0})
    with folder.locked():
        assert folder.read_rows() == [{"epoch": 0}]


def test_a_refused_run_removes_the_folders_it_made_and_no_others(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    with pytest.raises(InputError), RunFolder(kept / "runs" / "one").locked():
        raise InputError("no")
    assert not list(kept.iterdir())
    with pytest.raises(InputError), RunFolder(kept).locked():
        raise InputError("no")
    assert kept.is_dir()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(InputError, match="cannot write to the run folder"),
        RunFolder(tmp_path / "file" / "run").locked(),
    ):
        pass
