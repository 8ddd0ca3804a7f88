"""Arguments of users, from numpy or a configuration file -> plain Python values, or an error that echoes the value."""

from __future__ import annotations

import math
import numbers
import operator
import sys
import warnings
from collections.abc import Collection

# Longer values are cut, so that an error message stays one readable line.
_LONGEST = 100
# Packages whose lines no user has written, with those that wrap functions to check types.
_LIBRARY = ("infopace", "torch", "contextlib", "jaxtyping", "beartype")


def positive(name: str, value: object, what: str = "number") -> float:
    """A finite number above 0, as a plain float.

    >>> positive("lr_max", 1)
    1.0
    """
    number = _as_float(value)
    if math.isfinite(number) and number > 0:
        return number
    raise ValueError(f"{name} must be a positive {what}, got {shown(value)}")


def share(name: str, value: object, *, zero: bool = False) -> float:
    """A number above 0 and at most 1, as a plain float; `zero`: 0 is one, too.

    >>> share("window", 1)
    1.0
    """
    number = _as_float(value)
    if 0 < number <= 1 or (zero and number == 0):
        return number
    wanted = "from 0 to 1" if zero else "above 0 and at most 1"
    raise ValueError(f"{name} must be a number {wanted}, got {shown(value)}")


def is_finite(value: object) -> bool:
    """Whether a value is a number, and neither nan nor infinite.

    >>> is_finite(0.5), is_finite("0.5"), is_finite(math.nan)
    (True, False, False)
    """
    return math.isfinite(_as_float(value))


def number(name: str, value: object, least: float | int = -math.inf) -> float:
    """A finite number, of `least` or more if that is given, as a plain float.

    >>> number("lr", 0, 0)
    0.0
    """
    found = _as_float(value)
    if math.isfinite(found) and found >= least:
        return found
    wanted = "finite number" if math.isinf(least) else f"finite number of at least {least:g}"
    raise ValueError(f"{name} must be a {wanted}, got {shown(value)}")


def warn(message: str) -> None:
    """Warn at the line of the user's own code that led here, outside of infopace and torch."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARY:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level - 1 if frame.f_back is None else level)


def whole(name: str, value: object, least: int | None = None, unit: str = "") -> int:
    """A whole number, of `least` or more if that is given, as a plain int.

    >>> whole("epochs", 3, 1)
    3
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {shown(value)}")
    number = operator.index(value)
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}{unit and f' {unit}'}, got {shown(number)}")
    return number


def check_seed(value: object) -> int:
    """A seed that the generators of torch, numpy and Python all take.

    >>> check_seed(3)
    3
    """
    seed = whole("seed", value)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be in 0..2^63-1, got {shown(value)}")
    return seed


def flag(name: str, value: object) -> bool:
    """True or False, and no other value: "no" would count as true.

    >>> flag("triangle", False)
    False
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return value


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise ValueError if a value is not one of a few words."""
    if not (isinstance(value, str) and value in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}")


def shown(value: object) -> str:
    """A value in one line: a number as printed, all else as its repr, cut if it is long."""
    plain = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        text = " ".join((str(value) if plain else repr(value)).split())
    except ValueError:  # Python does not print whole numbers of more than 4,300 digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}.."


def _as_float(value: object) -> float:
    """The value as a float; nan if it is not a number."""
    if isinstance(value, str | bytes | bool):
        return math.nan
    try:
        return float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return math.nan
