"""A tracker's package, imported only when that tracker is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from infopace.lab.errors import InputError


def needed(tracker: str, module: str, install: str) -> Any:
    """The module `module`. Raises InputError that says what to install where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"--track {tracker} needs the package {tracker}: {install} ({error})") from error
