"""The shape of the house: which room may import which, what is public, and what the lock file pins.

The import rules are checked here and not by import-linter, which is not as strict. Of a foreign package it forbids only
the root, so it cannot forbid `torch.optim` to the estimators, which need torch. None of its contracts opens a room's
`__init__` to the lab and closes the modules inside. What it can check would take about as many lines of contracts.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import infopace

from .house import LIBRARY, PACKAGE, ROOMS, ROOT, STRANGERS, exported, public_names, tracked_files

# Modules that a room may not know, whatever else it imports.
FOREIGN = {"estimators": ("torch.nn.modules", "torch.optim"), "policies": ("torch",)}
# Studies that still open a private module. Delete a line here once the room has opened what the study needs.
STILL_PRIVATE = {
    # They calibrate constants that nobody else needs.
    "studies/error_bar_law/run.py",
    "studies/rank_resolution/run.py",
    # It replaces one product of the neighbour search.
    "studies/estimator_speed/float32.py",
    # They move the constants of the search, or stand between the rule and what it reads.
    "studies/constants_in_the_run/constants.py",
    "studies/constants_in_the_run/replay.py",
    "studies/shared/in_the_run.py",
    "studies/what_drives/drivers.py",
}


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_sources(package: Path) -> dict[str, str]:
    return {module_name(path, package): path.read_text() for path in sorted(package.rglob("*.py"))}


def imports(name: str, source: str, modules: set[str], packages: set[str]) -> set[str]:
    """Every module that a source imports, however nested; a submodule taken by name counts as itself."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")
                drop = node.level - (1 if name in packages else 0)
                parents = parents[: len(parents) - drop]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in modules else base)
    return found


def graph(package: Path) -> dict[str, set[str]]:
    sources = package_sources(package)
    packages = {module_name(path, package) for path in package.rglob("__init__.py")}
    return {name: imports(name, source, set(sources), packages) for name, source in sources.items()}


def room(module: str) -> str:
    """The room of a module of the package; the package itself is the surface, room ''."""
    return module.partition(".")[2].partition(".")[0]


def is_door(module: str) -> bool:
    """Whether a module is what the library shows: `infopace` itself or a room of the library."""
    return module in {"infopace", *(f"infopace.{name}" for name in LIBRARY if not name.startswith("_"))}


def violations(edges: dict[str, set[str]]) -> list[str]:
    """Every import that goes against the direction of the rooms."""
    wrong: list[str] = []
    for module, targets in sorted(edges.items()):
        here = room(module)
        if here and here not in (*ROOMS, "__main__"):
            wrong.append(f"{module}: {here!r} is no room of the house")
            continue
        for target in sorted(targets):
            if target.split(".")[0] != "infopace":
                if any(target == f or target.startswith(f + ".") for f in FOREIGN.get(here, ())):
                    wrong.append(f"{module} imports {target}")
                continue
            there = room(target)
            if there and there not in ROOMS:
                wrong.append(f"{module} imports {target}: {there!r} is no room of the house")
                continue
            if not here:  # the surface re-exports the library and knows none of its users
                allowed = there in LIBRARY
            elif here in STRANGERS:
                allowed = there == here or is_door(target)
            elif here == "__main__":
                allowed = there == "cli"
            elif here == "cli":
                allowed = there in ("", "lab", "cli")
            else:
                allowed = there != "" and ROOMS.index(there) <= ROOMS.index(here)
            if not allowed:
                wrong.append(f"{module} imports {target}")
    return wrong


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """One import cycle as the modules along it, or nothing."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done or module not in edges:
            return []
        for target in sorted(edges[module]):
            if found := visit(target, [*trail, module]):
                return found
        done.add(module)
        return []

    for module in sorted(edges):
        if found := visit(module, []):
            return found
    return []


def symbol_of(name: str) -> Any:
    """The object that a public name stands for."""
    return functools.reduce(getattr, name.split("."), infopace)


def test_rooms_import_only_rooms_above_them() -> None:
    assert violations(graph(PACKAGE)) == []


def test_no_import_cycles() -> None:
    assert cycle(graph(PACKAGE)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("infopace.estimators._ross", "from infopace.probe import Probe"),
        ("infopace.estimators._ross", "import infopace.model.layers"),
        ("infopace.policies._base", "import torch"),
        ("infopace.policies._base", "def f():\n    from torch import nn"),
        ("infopace.probe", "from . import scheduler"),
        ("infopace.probe", "from infopace import Estimate"),
        ("infopace.lab.run", "from infopace.probe._probe import Probe"),
        ("infopace.lab.run", "from infopace.probe import _probe"),
        ("infopace.lab.run", "from infopace.model.layers import unwrap"),
        ("infopace.lab.run", "from ..estimators._ross import ross"),
        ("infopace.lab.run", "from infopace import cli"),
        ("infopace", "from infopace.lab import run"),
        ("infopace.helpers", "import math"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    modules = {"infopace", "infopace.scheduler", "infopace.probe._probe", "infopace.cli", module}
    assert violations({module: imports(module, source, modules, {"infopace"})})


def test_a_cycle_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_modules_are_short() -> None:
    lengths = {name: source.count("\n") for name, source in package_sources(PACKAGE).items()}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def private_names(source: str) -> set[str]:
    """What a source names of infopace that begins with an underscore: imported, written out, or in a string."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(base)):
                found.update(f"{base}.{alias.name}" for alias in node.names)
            case ast.Import():
                found.update(alias.name for alias in node.names)
            case ast.Attribute():
                found.add(ast.unparse(node))
            case ast.Constant(value=str(text)):
                found.add(text)
    return {name for name in found if re.match(r"infopace(\.\w+)*\._\w", name)}


@pytest.mark.parametrize(
    "source",
    [
        "from infopace.policies import (\n    HoldAndDecay,\n    _policy,\n)",
        "from infopace.policies._policy import Decision",
        "import infopace.policies._policy as p",
        "import infopace.policies\ninfopace.policies._policy.Decision",
        'patch("infopace.policies._policy.Decision")',
    ],
)
def test_a_private_name_is_found(source: str) -> None:
    assert private_names(source)
    assert not private_names(source.replace("_policy", "simulate"))


def test_only_the_lab_itself_opens_what_is_private_in_the_lab() -> None:
    opened = {
        name
        for module, source in package_sources(PACKAGE).items()
        if room(module) in STRANGERS
        for name in private_names(source)
        if room(name) != room(module)
    }
    assert opened == set()


def test_scripts_use_what_is_public() -> None:
    scripts = [path for path in tracked_files() if path.suffix == ".py"]
    opened = {
        str(path.relative_to(ROOT))
        for path in scripts
        if path.relative_to(ROOT).parts[0] in ("studies", "examples") and private_names(path.read_text())
    }
    assert opened == STILL_PRIVATE


def test_the_front_door_is_narrow() -> None:
    assert sorted(infopace.__all__) == exported(PACKAGE / "__init__.py")
    assert len(infopace.__all__) <= 14


@pytest.mark.parametrize("name", public_names())
def test_public_symbols_have_docstrings(name: str) -> None:
    symbol = symbol_of(name)
    if not (inspect.isclass(symbol) or inspect.isroutine(symbol)):
        return
    own = symbol.__dict__.get("__doc__") if inspect.isclass(symbol) else symbol.__doc__
    # A dataclass without a docstring is given its signature as one.
    assert own, f"infopace.{name} must have a docstring"
    assert not own.startswith(f"{name.rpartition('.')[2]}("), f"infopace.{name} must have a docstring"
    if not inspect.isclass(symbol):
        return
    for method, member in vars(symbol).items():
        if method.startswith("_") or not (inspect.isroutine(member) or isinstance(member, property)):
            continue
        assert inspect.getdoc(getattr(symbol, method)), f"infopace.{name}.{method} must have a docstring"


def test_lock_pins_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock: dict[str, str] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.startswith("#"):
            continue
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), f"not an exact pin: {line!r}"
        name, version = line.split("==")
        lock[name.lower().replace("_", "-")] = version
    assert lock["torch"] == "2.13.0"
    assert not [name for name in lock if name.startswith(("nvidia", "cuda", "triton"))]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *(text for extra in extras.values() for text in extra)]:
        wanted = Requirement(text)
        if wanted.name == "infopace":
            continue
        assert wanted.name in lock, f"requirements.lock has no {wanted.name}: make lock"
        assert wanted.specifier.contains(lock[wanted.name]), f"{text} does not admit {lock[wanted.name]}"
    assert [Requirement(text).name for text in project["dependencies"]] == ["numpy", "torch"]
    assert "2.11.0" in SpecifierSet(str(Requirement(project["dependencies"][1]).specifier))
