"""The rows of the tables of the library, and the process that runs them.

Under pytest, jaxtyping checks the shapes and types in signatures, which no user's program does. So the rows run in a
process of their own without that check: `python tests/bad_inputs/rows.py` prints one JSON object a row.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLES = ("of_estimators", "of_probes", "of_policies", "of_training", "of_regularizers")


@dataclass(frozen=True)
class Row:
    """A call that must be refused.

    Attributes:
        name: The call, as a person would write it.
        call: Makes it.
        expected: What its message must contain: the bad value, the name of the argument, or what is required.
    """

    name: str
    call: Callable[[], Any]
    expected: tuple[str, ...]


def outcome(row: Row) -> dict[str, Any]:
    """The outcome of a row: the error's class, where it was raised, and its text."""
    found: dict[str, Any] = {
        "name": row.name,
        "expected": row.expected,
        "error": None,
        "text": "",
        "place": "",
    }
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        try:
            found["text"] = f"returned {row.call()!r}"
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            # A subclass of another package, such as UnicodeDecodeError, is an error that was let through.
            kind = type(error)
            found |= {
                "error": f"{kind.__module__}.{kind.__name__}",
                "text": str(error),
                "place": frame.filename,
            }
    return found


def tables() -> dict[str, list[Row]]:
    """The rows of each table."""
    found = {}
    for name in TABLES:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of kinds of tensors that few use
            spec.loader.exec_module(module)
        found[name] = [Row(*row) for row in module.ROWS]
    return found


def main() -> None:
    """Run all rows, and print each outcome at once."""
    for table, found in tables().items():
        for row in found:
            print(json.dumps({"table": table, **outcome(row)}), flush=True)


if __name__ == "__main__":
    main()
