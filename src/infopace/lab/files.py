"""Files that a kill at any instant leaves whole, old or new, and folders that one process holds at a time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from infopace.lab.errors import InputError, WriteFailed

_LEFTOVER = ".*.tmp"  # what write_atomically calls a file that is not whole yet


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within it, an OSError becomes a WriteFailed, which names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        raise WriteFailed(error.errno or 0, error.strerror or str(error), str(path)) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, and rename it over `path`.

    Raises WriteFailed, and leaves what was there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
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
        flush_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append a line after the last whole one; a torn line at the end is cut off first.

    Raises WriteFailed if the line does not fit, and leaves whole lines only.
    """
    # Unbuffered, because a buffer would write the rest when the file is closed.
    with writing(path), open(path, "ab+", buffering=0) as file:
        end = _end_of_lines(file)
        if end < os.fstat(file.fileno()).st_size:
            file.truncate(end)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[file.write(rest) or 0 :]
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(end)
            raise


def _end_of_lines(file: IO[bytes]) -> int:
    """The position after the last whole line."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def parse_json(content: bytes | str) -> Any:
    """The content of a JSON text. Raises ValueError if it is not JSON, or nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    if os.name == "nt":  # which opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_in(folder: Path) -> set[str]:
    """The names in a folder, none if there is no folder. Temporary files that a kill left do not count."""
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if not path.match(_LEFTOVER)}


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left. Call it only while holding the folder's lock."""
    for partial in folder.glob(_LEFTOVER):
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def held_folder(folder: Path, *, name: str, doing: str) -> Iterator[None]:
    """Make the folder if needed and hold it. The lock is the system's: a killed process releases it.

    Raises InputError if it cannot be written to (the message calls it `name`), or if another process is `doing` there.
    """
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another process is {doing} in {folder}; wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write to {name} {folder}: {error.strerror}") from error
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def held_for_a_write(folder: Path) -> Iterator[None]:
    """Hold a range test's folder, which several processes share, for the time of a write. It waits for the others."""
    with writing(folder), FileLock(folder / ".lock"):
        remove_leftovers(folder)
        yield
