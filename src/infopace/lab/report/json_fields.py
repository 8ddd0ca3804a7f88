"""Reads a JSON object field by field. A wrong field raises InputError with one line that names its place."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infopace.lab.errors import InputError


def read_json(path: Path) -> Any:
    """The content of a JSON file, None where there is no file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: lists nested too deep
        raise InputError(f"{path} cannot be read as JSON: {error}") from error


@dataclass(frozen=True)
class Fields:
    """The fields of one JSON object. `place` names the file and the path inside it."""

    place: str
    content: Any

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise InputError(f"{self.place} must be a JSON object, got {_shown(self.content)}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string. Without a default it is required."""
        value = self.content.get(name, default)
        return value if isinstance(value, str) else self._refuse(name, "a string", value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.content.get(name, default)
        return value if isinstance(value, bool) else self._refuse(name, "true or false", value)

    def count(self, name: str, default: int) -> int:
        """A whole number >= 0."""
        value = self.content.get(name, default)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return value if whole else self._refuse(name, "a whole number >= 0", value)

    def number(self, name: str) -> float | None:
        """A finite number; None where it is null or missing."""
        value = self.content.get(name)
        return self._number(name, value)

    def numbers(self, name: str, lengths: tuple[int, ...] = ()) -> tuple[float | None, ...]:
        """A list of finite numbers and nulls with one of the `lengths`; empty where it is missing."""
        values = self.content.get(name, [])
        if not isinstance(values, list):
            self._refuse(name, "a list of numbers", values)
        if lengths and len(values) not in lengths:
            self._refuse(name, f"a list of {max(lengths)} numbers", values)
        return tuple(self._number(f"{name}[{i}]", value) for i, value in enumerate(values))

    def objects(self, name: str) -> list[Fields]:
        """A list of objects, not empty."""
        values = self.content.get(name)
        if not isinstance(values, list) or not values:
            self._refuse(name, "a list of objects, not empty", values)
        return [Fields(f"{self.place}: {name}[{i}]", value) for i, value in enumerate(values)]

    def object(self, name: str) -> Fields:
        """An object; empty where it is missing."""
        return Fields(f"{self.place}: {name}", self.content.get(name, {}))

    def _number(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if finite else self._refuse(name, "a finite number or null", value)

    def _refuse(self, name: str, requirement: str, value: Any) -> Any:
        raise InputError(f"{self.place}: {name} must be {requirement}, got {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
