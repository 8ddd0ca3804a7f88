"""A file that one process holds at a time, on every operating system. The system frees it when the process ends."""

from __future__ import annotations

import os
import sys
import time
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Windows keeps others from reading what is locked; so one byte is, far behind the end of any file of a trial.
_FAR = 2**31 - 2
_PAUSE = 0.05  # seconds between two attempts


def lock(file: IO[Any], *, wait: bool) -> bool:
    """Hold an open file until it is closed; False where another holds it, unless asked to `wait` for that one."""
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
