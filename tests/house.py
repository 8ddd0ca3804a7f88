"""The rooms, the public names and the files of the repository, for the tests that read its source."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "infopace"
# A room may import the rooms before it and itself. Rooms that are not built yet keep their place.
ROOMS = (
    "_typing",
    "_checks",
    "pictures",
    "estimators",
    "model",
    "probe",
    "policies",
    "scheduler",
    "range_test",
    "regularizers",
    "diagnostics",
    "integrations",
    "lab",
    "cli",
)
# These see the library as a stranger does: the front door, the doors of the rooms, and their own modules.
STRANGERS = ("integrations", "lab")
LIBRARY = ROOMS[: ROOMS.index("integrations")]


def exported(init: Path) -> list[str]:
    """What an `__init__.py` re-exports, read from its source."""
    tree = ast.parse(init.read_text())
    names = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    return sorted(name for name in names if not name.startswith("_"))


def public_names() -> list[str]:
    """The public symbols by the name that a user writes: at the front door, or else by their room."""
    front = exported(PACKAGE / "__init__.py")
    inits = [(room, PACKAGE / room / "__init__.py") for room in LIBRARY]
    rooms = [f"{room}.{name}" for room, init in inits if init.exists() for name in exported(init)]
    return [*front, *(name for name in rooms if name.rpartition(".")[2] not in front)]


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.fail(f"git ls-files must list the tracked files, got: {listed.stderr.strip()}")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
