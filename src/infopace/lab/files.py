"""Files that a kill at any instant leaves whole, old or new, and folders that one process holds at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from infopace.lab.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, and rename it over `path`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    if os.name == "nt":  # which opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left. Call it only while holding the folder's lock."""
    for partial in folder.glob(".*.tmp"):
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def held_folder(folder: Path, *, name: str, doing: str) -> Iterator[None]:
    """Make the folder if needed and hold it. The lock is the system's: a killed process releases it.

    Raises InputError where it cannot be written to (the message calls it `name`) or another process is `doing` there.
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
