"""Bad inputs of the public functions and commands: each gives one line, and leaves no file."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

from infopace.cli import main

from .bad_inputs.of_commands import COMMAND_LINES, Content
from .bad_inputs.rows import HERE, tables

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "infopace"
LONGEST = 400
LIBRARY = {f"{table}: {row.name}": row for table, rows in tables().items() for row in rows}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """The outcome of every row of the library, in a process without checks of signatures, like a user's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ran = subprocess.run(
        [sys.executable, str(HERE / "rows.py")], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    return {f"{one['table']}: {one['name']}": one for one in found}


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_answers_in_one_line(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    found = outcomes[name]
    text, kind = found["text"], str(found["error"])
    assert kind in ("builtins.ValueError", "builtins.TypeError") or kind.startswith("infopace."), found
    assert PACKAGE in Path(found["place"]).parents, f"it was raised elsewhere: {found}"
    assert "\n" not in text and 0 < len(text) <= LONGEST, found
    assert [part for part in LIBRARY[name].expected if part not in text] == [], found


def put(folder: Path, files: dict[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def there(folder: Path) -> dict[str, bytes | None]:
    """The content of a folder, except Python's cache of modules."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    COMMAND_LINES,
    ids=[f"{i} {row[0][:60]}" for i, row in enumerate(COMMAND_LINES)],
)
def test_a_command_answers_in_one_line_and_leaves_nothing(
    line: str,
    files: dict[str, Content],
    expected: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of it first
    put(tmp_path, files)
    before = there(tmp_path)
    assert main(shlex.split(line)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("infopace: ") and captured.err.count("\n") == 1, captured.err
    assert len(captured.err) <= LONGEST + 300 * (" are: " in captured.err), captured.err
    assert [part for part in expected if part not in captured.err] == [], captured.err
    assert "Traceback" not in captured.out
    assert there(tmp_path) == before
