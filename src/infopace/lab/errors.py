"""The ways a command ends early: the input was wrong, the training diverged, or no run of a comparison finished."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used. One line: the value, and what is required. Exit code 2."""


class Diverged(RuntimeError):
    """The loss, a weight or an activation is no longer finite. One line: epoch, LR, last good checkpoint.

    Exit code 3.
    """


class NothingFinished(RuntimeError):
    """No run of a comparison has finished. One line, and those of the table that says so all the same. Exit code 3."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines
