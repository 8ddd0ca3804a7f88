"""The library imports on every operating system and without the lab's extra; the command then says what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from infopace.lab.errors import OF_THE_EXTRA

ROOT = Path(__file__).resolve().parent.parent
LINE = "infopace: this command needs {}, which is not installed: pip install 'infopace[lab]'\n"


def python(*arguments: str, without: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own, to which some modules do not exist."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({without!r}))\n")
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_library_and_the_version_need_neither_the_extra_nor_file_locks_of_unix(tmp_path: Path) -> None:
    script = "import infopace, infopace.cli as cli; print(cli.main(['--version']), cli.main(['report', 'x']))"
    ran = python("-c", script, without=("fcntl", *OF_THE_EXTRA), folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, LINE.format("tyro"))
    assert ran.stdout.startswith("infopace ") and ran.stdout.endswith("\n0 2\n")


def test_the_command_names_the_extra_in_one_line(tmp_path: Path) -> None:
    ran = python("-m", "infopace", "train", without=("tyro",), folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", LINE.format("tyro"))


def test_what_only_some_workload_needs_is_named_when_it_is_missing(tmp_path: Path) -> None:
    """And what locks files on Unix is not needed."""
    arguments = ("-m", "infopace", "train", "digits", "--bounds", "workload")
    ran = python(*arguments, without=("sklearn", "fcntl"), folder=tmp_path)
    assert ran.returncode == 2 and ran.stderr.endswith(LINE.format("sklearn"))
    assert not (tmp_path / "runs").exists()


def test_every_package_of_the_extra_is_known_by_the_name_it_is_imported_by() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lab"]
    imported = {"pillow": "PIL", "scikit-learn": "sklearn"}
    names = [Requirement(text).name for text in extra]
    assert sorted(OF_THE_EXTRA) == sorted(imported.get(name, name.replace("-", "_")) for name in names)
