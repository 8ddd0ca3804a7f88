"""One trial, one file: trials farmed out to processes or machines that share a folder, none run twice.

test.json       what the test is: its settings; a folder holds one test
trial-0.jsonl   a line a candidate, as it is finished, and a last line that says that the trial is
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from infopace._checks import shown
from infopace.range_test._lock import lock
from infopace.range_test._records import Candidate, Trial

_MOST_TOLD = 2
_NAME = re.compile(r"trial-(\d+)\.jsonl")


class TrialFolder:
    """The files of a test. A kill at any instant leaves them usable.

    Raises:
        ValueError: the folder holds another test; the message names what differs.
    """

    def __init__(self, path: Path | str, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"the folder must be one, got {self.path}, where there is a file") from None
        file = self.path / "test.json"
        with open(self.path / ".lock", "a") as held:
            lock(held, wait=True)
            there = _read_json(file)
            if there is None:
                partial = file.with_suffix(".tmp")
                partial.write_text(json.dumps(settings, indent=2) + "\n")
                os.replace(partial, file)
                return
        # As JSON gives them back: lists for tuples.
        asked = json.loads(json.dumps(settings))
        different = [name for name in {**there, **asked} if there.get(name) != asked.get(name)]
        if different:
            told = ", ".join(
                f"{name} is {shown(there.get(name))} there and {shown(asked.get(name))} here"
                for name in different[:_MOST_TOLD]
            )
            if len(different) > _MOST_TOLD:
                told += f", and {len(different) - _MOST_TOLD} more differ"
            raise ValueError(
                f"the folder {self.path} holds another range test: {told}; choose another folder"
            )

    @contextlib.contextmanager
    def claim(self, number: int, *, patient: bool = False) -> Iterator[Claim | None]:
        """Hold a trial's file; None where another process holds it, or wait for that one if patient.

        The system frees the claim of a process that was killed.
        """
        with open(self._file(number), "a+b") as file:
            if not lock(file, wait=patient):
                yield None
                return
            yield Claim(number, file)

    def finished(self) -> dict[int, Trial]:
        """The trials that are finished, by number."""
        found = {}
        for path in self.path.iterdir():
            if match := _NAME.fullmatch(path.name):
                candidates, finished = _parse(path.read_bytes())
                if finished:
                    found[int(match[1])] = Trial(int(match[1]), candidates)
        return dict(sorted(found.items()))

    def _file(self, number: int) -> Path:
        return self.path / f"trial-{number}.jsonl"


class Claim:
    """A trial's file, held: what is known of the trial, and what is to be kept."""

    def __init__(self, number: int, file: IO[bytes]) -> None:
        self.number, self._file = number, file
        file.seek(0)
        content = file.read()
        self.candidates, self.is_finished = _parse(content)
        # What follows the last newline was torn by a kill.
        file.truncate(content.rfind(b"\n") + 1)

    def keep(self, candidate: Candidate) -> None:
        """Write down a finished candidate."""
        self._write(candidate.to_json())

    def finish(self) -> None:
        """Say that the trial is finished: it is never run again."""
        self._write({"finished": True})
        self.is_finished = True

    def _write(self, content: dict[str, Any]) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(content, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _parse(content: bytes) -> tuple[tuple[Candidate, ...], bool]:
    """Candidates, and whether the trial is finished, up to the first line that is torn."""
    candidates: list[Candidate] = []
    for line in content.split(b"\n")[:-1]:
        row = json.loads(line)
        if row.get("finished"):
            return tuple(candidates), True
        candidates.append(Candidate.from_json(row))
    return tuple(candidates), False


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} must be the settings of a range test, got no JSON: {error}") from None
