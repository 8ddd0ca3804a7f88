"""The shape of the house: which room may import which, what is documented, and what the README promises.

The import rules are checked here and not by import-linter, which is not as strict. Of a foreign package it forbids only
the root, so it cannot forbid `torch.optim` to the estimators, which need torch. None of its contracts opens a room's
`__init__` to the lab and closes the modules inside. What it can check would take about as many lines of contracts.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import infopace
from infopace.lab.workload import Workload
from infopace.range_test import Race

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "infopace"

# A room may import the rooms before it and itself. Rooms that are not built yet keep their place.
ROOMS = (
    "_typing",
    "_checks",
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
# Modules that a room may not know, whatever else it imports.
FOREIGN = {"estimators": ("torch.nn.modules", "torch.optim"), "policies": ("torch",)}
# Studies that still open a private module. Delete a line here once the room has opened what the study needs.
STILL_PRIVATE = {
    # They calibrate constants that nobody else needs.
    "studies/error_bar_law/run.py",
    "studies/rank_resolution/run.py",
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


def symbol_of(name: str) -> Any:
    """The object that a public name stands for."""
    return functools.reduce(getattr, name.split("."), infopace)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.fail(f"git ls-files must list the tracked files, got: {listed.stderr.strip()}")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


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


def documented(page: str) -> list[str]:
    """What a page of the reference documents by a directive of autodoc, each with its module."""
    found: list[str] = []
    module = ""
    for kind, name in re.findall(r"^\.\. (auto\w+|currentmodule):: (\S+)$", page, flags=re.MULTILINE):
        if kind == "currentmodule":
            module = name + "."
        elif kind != "automodule":
            found.append(name if name.startswith("infopace.") else module + name)
    return found


def test_every_public_symbol_is_on_one_page_of_the_reference() -> None:
    pages = [path.read_text() for path in sorted((ROOT / "docs" / "api").glob("*.md"))]
    names = [name.removeprefix("infopace.") for page in pages for name in documented(page)]
    # The page may name a symbol by its room where the front door has it too.
    front = {f"{room}.{name}": name for room in LIBRARY for name in infopace.__all__}
    assert sorted(front.get(name, name) for name in names) == sorted(public_names())


def test_contributing_names_files_that_are_there() -> None:
    rows = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| ")]
    named = [name for row in rows for name in re.findall(r"`([\w/]+(?:\.py|/))`", row) if "/" in name]
    missing = [name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())]
    assert len(named) > 10
    assert missing == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


def build_model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))


def train_one_epoch(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()


def what_readers_have(folder: Path) -> dict[str, Any]:
    """The names that the documents take for granted: a model, its data, an optimizer."""
    torch.manual_seed(0)
    inputs = torch.randn(1200, 6)
    targets = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    model = build_model()
    return {
        "torch": torch,
        "model": model,
        "build_model": build_model,
        "train_data": torch.utils.data.TensorDataset(inputs, targets),
        "train_loader": [(inputs[:32], targets[:32]), (inputs[32:64], targets[32:64])],
        "loss": torch.nn.functional.cross_entropy,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True),
        "train_one_epoch": train_one_epoch,
        "epochs": 4,
        "path": folder / "saved.pt",
    }


DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md",
        "docs/getting-started.md",
        "docs/policies.md",
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "how-to").glob("*.md")),
    )
    if python_blocks((ROOT / name).read_text())
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_in_documents_runs(document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    # That the code runs is shown, not that its range test is precise.
    short = functools.partial(infopace.find_bounds, method=Race(trials=1, most=1.0))
    monkeypatch.setattr(infopace, "find_bounds", short)
    for block in python_blocks(document.read_text()):
        names = what_readers_have(tmp_path)
        exec(compile(block, str(document), "exec"), names)
        if ".observe()" in block:
            assert len(names["scheduler"].decisions) >= 4


def test_the_main_documents_show_code() -> None:
    assert {"README.md", "getting-started.md", "find-bounds.md"} <= {path.name for path in DOCUMENTS}


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


def test_tracked_files_name_no_place_of_one_machine() -> None:
    # Spelt in halves, so that this file does not find itself.
    places = re.compile(r"(?<![\w.])/(?:" + "ro" + r"ot|wo" + r"rk|ho" + r"me/\w+|Us" + r"ers/\w+)/")
    found: list[str] = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        lines = text.splitlines()
        found += [f"{path.relative_to(ROOT)}:{i}" for i, line in enumerate(lines, 1) if places.search(line)]
    assert found == []


def test_links_between_documents_resolve() -> None:
    broken: list[str] = []
    for path in tracked_files():
        if path.suffix != ".md":
            continue
        targets = re.findall(r"\]\(([^)#\s]+)", path.read_text())
        missing = [t for t in targets if "://" not in t and not (path.parent / t).exists()]
        broken += [f"{path.relative_to(ROOT)}: {target}" for target in missing]
    assert broken == []


def test_files_that_are_named_are_there() -> None:
    named = re.compile(r"(?<![\w./-])(?:docs|studies|tests|examples|benchmarks)/[\w./-]+\.(?:md|py|png)\b")
    missing: list[str] = []
    for path in tracked_files():
        if path.suffix in (".py", ".md", ".toml", ".css", ".js", ".html"):
            places = {place for place in named.findall(path.read_text()) if not (ROOT / place).exists()}
            missing += [f"{path.relative_to(ROOT)}: {place}" for place in sorted(places)]
    assert missing == []


def test_every_field_of_a_workload_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "own-workload.md").read_text()
    fields = {field.name for field in dataclasses.fields(Workload)} - {"code"}  # which the lab fills in
    assert {name for name in fields if f"`{name}`" not in page} == set()
