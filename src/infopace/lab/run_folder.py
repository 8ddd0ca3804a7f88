"""The folder of a run: run.json, epochs.jsonl, two checkpoints. A kill at any instant leaves it usable."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from infopace.lab.errors import InputError
from infopace.lab.files import append_line, held_folder, names_in, parse_json, write_atomically, writing

Row = dict[str, Any]
_CHECKPOINT = re.compile(r"epoch-(\d+)-([0-9a-f]{16})\.pt")
_KEPT = 2


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run. It does not depend on the model.

    Attributes:
        path: The folder.
        writes: Whether this process writes. Of several processes of one run only the first does.
    """

    path: Path
    writes: bool = True

    @property
    def picture(self) -> Path:
        """The file of the run's picture."""
        return self.path / "picture.png"

    @property
    def _rows(self) -> Path:
        return self.path / "epochs.jsonl"

    def check_free_or_run(self) -> None:
        """Raise InputError if the path is a file, or a folder with other things and no run in it."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"the run folder must be a folder, got the file {self.path}")
        if not self.path.is_dir():
            return
        names = names_in(self.path)
        ours = {"run.json", "epochs.jsonl", "lock", "range-test"}
        if names and not names & ours and not any(_CHECKPOINT.fullmatch(name) for name in names):
            raise InputError(
                f"the run folder must be new, empty or hold a run, not {self.path}; choose another --out"
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if needed and hold it."""
        made = [p for p in (self.path, *self.path.parents) if not p.exists()]
        with held_folder(self.path, name="the run folder", doing="running"):
            try:
                yield
            except BaseException:
                # A run that was refused before it wrote a file leaves no folder either.
                self._remove_if_empty(made)
                raise

    def _remove_if_empty(self, made: list[Path]) -> None:
        if made and [entry.name for entry in self.path.iterdir()] == ["lock"]:
            (self.path / "lock").unlink()
            with contextlib.suppress(OSError):  # a parent that has other things in it by now stays
                for folder in made:
                    folder.rmdir()

    def discard(self) -> None:
        """Remove the files of a run that was refused. Call it only while holding the folder."""
        if not self.writes:
            return
        for path in (self.path / "run.json", self._rows, *self.checkpoints()):
            path.unlink(missing_ok=True)

    # run.json and summary.json: whole or absent

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `content` whole or not at all."""
        if not self.writes:
            return
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(self.path / name, f"{text}\n".encode())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """What write_json wrote, or None if there is nothing readable."""
        try:
            content = parse_json((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    # epochs.jsonl: a row an epoch, appended

    def append_row(self, row: Row) -> None:
        """Append one row. Raises WriteFailed if it does not fit, and leaves the rows as they were."""
        if self.writes:
            append_line(self._rows, _line(row))

    def read_rows(self) -> list[Row]:
        """The rows of epochs 0, 1, 2, ... up to the first that is torn, missing or out of order.

        Raises InputError if the file cannot be read.
        """
        try:
            lines = self._rows.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"cannot read {self._rows}: {error.strerror}; remove it") from error
        rows: list[Row] = []
        for line in lines[:-1]:  # what follows the last newline is empty or torn
            try:
                row = parse_json(line)
            except ValueError:
                break
            if not isinstance(row, dict) or row.get("epoch") != len(rows):
                break
            rows.append(row)
        return rows

    def keep_rows(self, rows: list[Row]) -> None:
        """Make the file hold `rows` and nothing else: no torn line stays after them."""
        if not self.writes:
            return
        content = b"".join(_line(row) for row in rows)
        if (self._rows.read_bytes() if self._rows.is_file() else b"") != content:
            write_atomically(self._rows, content)

    def flush_rows(self) -> None:
        """Flush the rows to the disk, so that no checkpoint is there before its rows."""
        with writing(self._rows), open(self._rows, "ab") as file:
            os.fsync(file.fileno())

    # checkpoints: the name carries a digest of the content

    def save_checkpoint(self, epoch: int, state: dict[str, Any]) -> Path:
        """Write the checkpoint of `epoch` and drop all but the last two."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        self.flush_rows()
        path = self.path / f"epoch-{epoch:04d}-{_digest(content)}.pt"
        write_atomically(path, content)
        for old in self.checkpoints()[_KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def checkpoints(self) -> list[Path]:
        """The checkpoints' files, newest epoch first."""
        found = [(int(m[1]), p) for p in self.path.glob("epoch-*.pt") if (m := _CHECKPOINT.fullmatch(p.name))]
        return [p for _, p in sorted(found, key=lambda f: (f[0], f[1].stat().st_mtime_ns), reverse=True)]

    def load_checkpoint(self, path: Path) -> dict[str, Any] | None:
        """The state in a checkpoint, or None if its content does not match its name.

        Raises InputError if it matches, and no run can have written it.
        """
        match = _CHECKPOINT.fullmatch(path.name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read checkpoint {path}: {error.strerror}; remove it") from error
        if match is None or _digest(content) != match[2]:
            return None
        try:
            state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        except Exception as error:  # an unpickler can raise anything
            raise InputError(f"checkpoint {path} is not a checkpoint of a run; remove it") from error
        if not isinstance(state, dict) or state.get("epoch") != int(match[1]):
            raise InputError(f"checkpoint {path} must hold the state after epoch {int(match[1])}; remove it")
        return state


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def sound_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows before the first one that no run can have written."""
    return list(itertools.takewhile(_is_sound, rows))


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_sound(row: Row) -> bool:
    return (
        is_number(row.get("test"))
        and is_number(row.get("validation", 0.0))
        and is_number(row.get("batches", 0))
        and (row.get("train_loss") is None or is_number(row["train_loss"]))
        and _all_numbers(row.get("lr"))
        and _holds_numbers(row.get("seconds"))
        and _is_list_of(row.get("warnings"), str)
        and _is_list_of(row.get("decisions"), dict)
        and all(_is_decision(decision) for decision in row["decisions"])
        and isinstance(row.get("information"), dict)
        and all(_is_measured(layer) for layer in row["information"].values())
        and (row.get("reference") is None or is_number(row["reference"]))
        and _holds_numbers(row.get("held_out", {}))
    )


def _is_decision(decision: dict[str, Any]) -> bool:
    texts = all(isinstance(decision.get(name), str) for name in ("layer", "phase", "reason"))
    return texts and is_number(decision.get("lr"))


def _is_measured(layer: object) -> bool:
    if not isinstance(layer, dict) or not is_number(layer.get("nats")):
        return False
    return all(layer.get(name) is None or is_number(layer[name]) for name in ("std_error", "decoder"))


def _is_list_of(values: object, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _all_numbers(values: object) -> bool:
    return isinstance(values, list) and all(is_number(value) for value in values)


def _holds_numbers(values: object) -> bool:
    return isinstance(values, dict) and all(is_number(value) for value in values.values())
