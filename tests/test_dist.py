"""What is released: the sdist, the wheel that is built from it, and the files beside them that name the version."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
import yaml

from .house import PACKAGE, ROOT, tracked_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"infopace-{PROJECT['version']}"


@dataclass(frozen=True)
class Dist:
    """The folder of what was built, and the names in it."""

    folder: Path
    wheel: set[str]
    sdist: set[str]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """Built as `make dist` does: the wheel from the sdist, with the pinned build backend."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sorted(path.name for path in folder.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    with zipfile.ZipFile(folder / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    with tarfile.open(folder / f"{NAME}.tar.gz") as sdist:
        return Dist(folder, names, {name.removeprefix(f"{NAME}/") for name in sdist.getnames()})


def test_twine_finds_no_fault(dist: Dist) -> None:
    files = [str(path) for path in dist.folder.iterdir()]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0 and ran.stdout.count("PASSED") == 2, ran.stdout + ran.stderr


def test_the_wheel_has_the_package_and_nothing_else(dist: Dist) -> None:
    package = {
        path.relative_to(PACKAGE.parent).as_posix() for path in tracked_files() if PACKAGE in path.parents
    }
    about = {name for name in dist.wheel if name.startswith(f"{NAME}.dist-info/")}
    assert dist.wheel - about == package
    assert {"infopace/py.typed", "infopace/lab/report/report.js"} <= package
    assert {PurePosixPath(name).name for name in about} == {
        "LICENSE",
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
    }


def test_the_sdist_has_the_sources_and_no_rows_or_pictures(dist: Dist) -> None:
    beside = {PurePosixPath(name).parts[0] for name in dist.sdist}
    assert beside == {
        ".gitignore",  # the build backend reads it
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "src",
    }
    assert {name for name in dist.wheel if name.startswith("infopace/")} == {
        name.removeprefix("src/") for name in dist.sdist if name.startswith("src/")
    }


def test_the_wheel_says_what_it_needs(dist: Dist) -> None:
    with zipfile.ZipFile(dist.folder / f"{NAME}-py3-none-any.whl") as wheel:
        metadata = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    needs = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [need for need in needs if "extra ==" not in need] == PROJECT["dependencies"]
    assert re.findall(r"^Provides-Extra: (.*)$", metadata, re.MULTILINE) == sorted(
        PROJECT["optional-dependencies"]
    )
    assert "License-Expression: MIT" in metadata


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_the_issue_forms_are_forms() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [path.stem for path in forms] == ["bug", "config", "feature", "question"]
    for path in forms:
        form = yaml.safe_load(path.read_text())
        if path.stem == "config":
            assert form == {"blank_issues_enabled": False}
            continue
        assert form.keys() == {"name", "description", "labels", "body"}
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields) > 0
        assert any(field.get("validations") == {"required": True} for field in fields)
        assert all(field["attributes"]["label"] for field in fields)


def test_each_python_that_was_tested_is_a_classifier() -> None:
    pages = (ROOT / "docs" / "versions.md").read_text()
    run = pages.partition("## What was not run")[0]
    tested = set(re.findall(r"^\| `?\w+`? \| (3\.\d+)", run, re.MULTILINE))
    assert tested == set(re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])))
