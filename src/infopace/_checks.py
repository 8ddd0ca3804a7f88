"""Numbers as users have them, from numpy or a configuration file -> plain ones, or an error that echoes the value."""

from __future__ import annotations

import math
import numbers
import operator


def positive(name: str, value: object, what: str = "number") -> float:
    """A finite number above 0, as a plain float.

    >>> positive("lr_max", 1)
    1.0
    """
    if not isinstance(value, str | bool):
        try:
            number = float(value)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError, RuntimeError, OverflowError):
            number = math.nan
        if math.isfinite(number) and number > 0:
            return number
    raise ValueError(f"{name} must be a positive {what}, got {_shown(value)}")


def whole(name: str, value: object, least: int, unit: str = "") -> int:
    """A whole number of at least so many, as a plain int.

    >>> whole("epochs", 3, 1)
    3
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {_shown(value)}")
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}{unit and f' {unit}'}, got {number}")
    return number


def _shown(value: object) -> str:
    """A number as it is printed, all else as it is written: '3' is no 3."""
    return str(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else repr(value)
