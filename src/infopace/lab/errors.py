"""The errors that end a command: wrong input, a file that cannot be written, divergence, a comparison without runs."""

from __future__ import annotations

import errno


class InputError(ValueError):
    """An input cannot be used. One line: what is required, and the value. Exit code 2."""


class Diverged(RuntimeError):
    """A loss, a weight or an activation is not finite. One line: epoch, learning rate, last checkpoint. Exit code 3."""


class WriteFailed(OSError):
    """A file could not be written. One line: the file, the reason, and what to do. Exit code 2."""

    def __str__(self) -> str:
        full = self.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free some space" if full else "make it writable or choose another --out"
        return f"cannot write {self.filename}: {self.strerror}; {remedy}, then give the same command again"


class Unfinished(RuntimeError):
    """A comparison lacks runs. One line, and `lines` of the table of those that there are. Exit code 3."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


# The names under which the packages of the extra `lab` are imported.
OF_THE_EXTRA = (
    "PIL",
    "datasets",
    "filelock",
    "matplotlib",
    "numba",
    "pandas",
    "prodigyopt",
    "pyarrow",
    "pytorch_optimizer",
    "rich",
    "schedulefree",
    "scipy",
    "sklearn",
    "tyro",
)


def missing_of_the_extra(error: ModuleNotFoundError) -> str:
    """The missing package, if it is one of the extra `lab`; else ""."""
    package = (error.name or "").partition(".")[0]
    return package if package in OF_THE_EXTRA else ""


class NotFinite(ArithmeticError):
    """The run has diverged; the message names what is no longer finite."""
