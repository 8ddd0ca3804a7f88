"""The two ways a run ends early: the input was wrong, or the training diverged."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used. One line: the value, and what is required. Exit code 2."""


class Diverged(RuntimeError):
    """The loss, a weight or an activation is no longer finite. One line: epoch, LR, last good checkpoint.

    Exit code 3.
    """
