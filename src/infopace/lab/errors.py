"""The ways a command ends early: wrong input, a file that cannot be written, divergence, a comparison without runs."""

from __future__ import annotations

import errno


class InputError(ValueError):
    """Something the user gave cannot be used. One line: the value, and what is required. Exit code 2."""


class Diverged(RuntimeError):
    """The loss, a weight or an activation is no longer finite. One line: epoch, LR, last good checkpoint.

    Exit code 3.
    """


class WriteFailed(OSError):
    """A file could not be written. One line: the file, why, and what to do. Exit code 2."""

    def __str__(self) -> str:
        full = self.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free some space" if full else "make it writable or choose another --out"
        return f"cannot write {self.filename}: {self.strerror}; {remedy}, then give the same command again"


class Unfinished(RuntimeError):
    """A comparison lacks runs. One line, and those of the table that says so all the same. Exit code 3."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


# What the packages of the extra `lab` are imported as.
OF_THE_EXTRA = (
    "PIL",
    "datasets",
    "filelock",
    "matplotlib",
    "numba",
    "pandas",
    "prodigyopt",
    "pytorch_optimizer",
    "rich",
    "schedulefree",
    "scipy",
    "sklearn",
    "tyro",
)


def missing_of_the_extra(error: ModuleNotFoundError) -> str:
    """The package of the extra `lab` that is not installed; "" where it is another's."""
    package = (error.name or "").partition(".")[0]
    return package if package in OF_THE_EXTRA else ""
