"""One trial, one file: trials farmed out to processes or machines that share a folder, none run twice.

test.json       what the test is: its settings; a folder holds one test
trial-0.jsonl   a line a candidate, as it is finished, and a last line that says that the trial is
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any

from infopace._checks import shown
from infopace.range_test._records import Candidate, Trial

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_SETTINGS = "test.json"
_MOST_SHOWN = 2  # settings that differ
# Windows keeps others from reading what is locked; so one byte is, far behind the end of any file of a trial.
_FAR = 2**31 - 2
_PAUSE = 0.05  # seconds between two attempts
_NAME = re.compile(r"trial-(\d+)\.jsonl")


class TrialFolder:
    """The files of a test; `settings` are those of `Settings.to_json`. A kill at any instant leaves them usable.

    Raises:
        ValueError: the folder holds another test; the message names what differs.
    """

    def __init__(self, path: Path | str, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"the folder must be one, got {self.path}, where there is a file") from None
        with open(self.path / ".lock", "a") as held:
            lock(held, wait=True)
            there = read_settings(self.path)
            if there is None:
                _write_whole(self.path / _SETTINGS, json.dumps(settings, indent=2).encode() + b"\n")
                return
        # As JSON gives them back: lists for tuples.
        asked = json.loads(json.dumps(settings))
        different = [name for name in {**there, **asked} if there.get(name) != asked.get(name)]
        if different:
            text = ", ".join(
                f"{name} is {shown(there.get(name))} there and {shown(asked.get(name))} here"
                for name in different[:_MOST_SHOWN]
            )
            if len(different) > _MOST_SHOWN:
                text += f", and {len(different) - _MOST_SHOWN} more differ"
            raise ValueError(
                f"the folder {self.path} holds another range test: {text}; choose another folder"
            )

    @contextlib.contextmanager
    def claim(self, number: int, *, patient: bool = False) -> Iterator[Claim | None]:
        """Hold a trial's file. Where another process holds it: None, or wait for that one if patient.

        The system frees the claim of a process that was killed.
        """
        # Unbuffered: a buffer that could not write would try again when the file is closed.
        with open(self._file(number), "a+b", buffering=0) as file:
            if not lock(file, wait=patient):
                yield None
                return
            yield Claim(number, file, self._file(number))

    def finished(self) -> dict[int, Trial]:
        """The trials that are finished, by number."""
        found = {}
        for path in self.path.iterdir():
            if match := _NAME.fullmatch(path.name):
                candidates, finished = _parse(path.read_bytes(), path)
                if finished:
                    found[int(match[1])] = Trial(int(match[1]), candidates)
        return dict(sorted(found.items()))

    def _file(self, number: int) -> Path:
        return self.path / f"trial-{number}.jsonl"


class Claim:
    """A trial's file, held: the candidates it has, and those to come."""

    def __init__(self, number: int, file: FileIO, path: Path) -> None:
        self.number, self._file, self._path = number, file, path
        file.seek(0)
        content = file.read()
        self.candidates, self.is_finished = _parse(content, path)
        # What follows the last newline was torn by a kill.
        file.truncate(content.rfind(b"\n") + 1)

    def keep(self, candidate: Candidate) -> None:
        """Write down a finished candidate. Raises OSError, with the file as it was, where the disk is full."""
        self._write(candidate.to_json())

    def finish(self) -> None:
        """Mark the trial as finished: it is never run again."""
        self._write({"finished": True})
        self.is_finished = True

    def _write(self, content: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(content, allow_nan=False).encode() + b"\n")
        end = self._file.seek(0, os.SEEK_END)
        try:
            with _naming(self._path):
                while rest:
                    rest = rest[self._file.write(rest) or 0 :]
                os.fsync(self._file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of the test in a folder; None where there is none. ValueError where no test wrote what is there."""
    path = folder / _SETTINGS
    try:
        settings = _from_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise ValueError(f"{path} must be the settings of a range test, got a folder") from None
    except ValueError as error:
        raise ValueError(f"{path} must be the settings of a range test, got no JSON: {error}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} must be the settings of a range test, got {str(settings)[:60]}")
    return settings


def _parse(content: bytes, path: Path) -> tuple[tuple[Candidate, ...], bool]:
    """Candidates, and whether the trial is finished, up to the last whole line.

    A kill tears the last line; a whole line that no test wrote is a ValueError.
    """
    candidates: list[Candidate] = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            content_of_line = _from_json(line)
            if candidates and content_of_line == {"finished": True}:
                return tuple(candidates), True
            candidates.append(Candidate.from_json(content_of_line))
        except ValueError as error:
            remedy = "remove the file to run its trial again"
            raise ValueError(
                f"{path}, line {number}, is no candidate of a range test: {error}; {remedy}"
            ) from None
    return tuple(candidates), False


def _from_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that a kill or a power cut leaves whole or absent. What a killed write left goes first.

    Call it only while holding the folder's lock.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _naming(path):
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within it, an OSError names the file: the system does so only where a file is opened."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def lock(file: IO[Any], *, wait: bool) -> bool:
    """Hold an open file until it is closed, on every operating system; the system frees it when the process ends.

    Where another process holds it: False, or wait for that one if asked to.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if wait:
                raise
            return False
        return True
    while not _locked_on_windows(file):
        if not wait:
            return False
        time.sleep(_PAUSE)
    return True


def _locked_on_windows(file: IO[Any]) -> bool:
    if sys.platform != "win32":
        raise OSError("files cannot be locked on this system; give no folder")
    import msvcrt

    os.lseek(file.fileno(), _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
