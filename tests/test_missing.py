"""Where a package of an extra is missing, one line names it and what to install."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

import infopace.lab.command_line
from infopace.cli import main
from infopace.estimators import tree_ross
from infopace.lab.baselines._signals import GreedySteps
from infopace.lab.errors import OF_THE_EXTRA
from infopace.lab.farm import through_submitit

from .house import PACKAGE, ROOT

# What the source imports beside Python's own modules, torch and numpy, and the extra that brings it.
EXTRA_OF = {
    **dict.fromkeys(OF_THE_EXTRA, "lab"),
    "accelerate": "accelerate",
    "keras": "keras",
    "lightning": "lightning",
    "submitit": "slurm",
    "transformers": "transformers",
}
# Types in signatures, inert where it is not installed.
WITHOUT_EXTRA = {"jaxtyping"}
NAME_ON_THE_INDEX = {"PIL": "pillow", "sklearn": "scikit-learn", "pytorch_optimizer": "pytorch-optimizer"}


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a package impossible to import, and forgets the adapters, which have imported it."""

    def hidden(package: str) -> None:
        for name in [package, *sys.modules]:
            if name.partition(".")[0] == package:
                monkeypatch.setitem(sys.modules, name, None)
            elif name.startswith("infopace.integrations."):
                monkeypatch.delitem(sys.modules, name)

    return hidden


def an_adapter(name: str) -> Callable[[], object]:
    return lambda: importlib.import_module(f"infopace.integrations.{name}")


def a_tree(compiled: bool) -> Callable[[], object]:
    x = torch.arange(40.0).reshape(20, 2)
    return lambda: tree_ross(x, torch.arange(20) % 2, compiled=compiled)


def jobs(tmp_path: Path) -> list[Any]:
    return list(through_submitit([], print, tmp_path, "name"))


@pytest.mark.parametrize(
    ("package", "use", "who", "extra"),
    [
        ("accelerate", an_adapter("accelerate"), "infopace.integrations.accelerate needs", "accelerate"),
        ("keras", an_adapter("keras"), "infopace.integrations.keras needs", "keras"),
        ("lightning", an_adapter("lightning"), "infopace.integrations.lightning needs", "lightning"),
        (
            "transformers",
            an_adapter("transformers"),
            "infopace.integrations.transformers needs",
            "transformers",
        ),
        (
            "accelerate",
            an_adapter("transformers"),
            "infopace.integrations.transformers needs",
            "transformers",
        ),
        ("numba", a_tree(True), "compiled neighbour trees need", "tree"),
        ("scipy", a_tree(False), "neighbour trees need", "tree"),
    ],
    ids=["accelerate", "keras", "lightning", "transformers", "transformers-accelerate", "numba", "scipy"],
)
def test_the_library_names_what_to_install(
    package: str, use: Callable[[], object], who: str, extra: str, hide: Callable[[str], None]
) -> None:
    hide(package)
    with pytest.raises(ImportError) as caught:
        use()
    assert str(caught.value) == f'{who} {package}: pip install "infopace[{extra}]"'


def test_a_cluster_names_what_to_install(hide: Callable[[str], None], tmp_path: Path) -> None:
    hide("submitit")
    with pytest.raises(ValueError) as caught:
        jobs(tmp_path)
    assert str(caught.value) == 'slurm jobs need submitit: pip install "infopace[slurm]"'


def test_a_baseline_names_what_to_install(hide: Callable[[str], None]) -> None:
    hide("transformers")
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    with pytest.raises(ValueError) as caught:
        GreedySteps(optimizer)
    assert str(caught.value).startswith(
        'greedylr needs transformers 5 or newer: pip install "infopace[transformers]" ('
    )


@pytest.mark.parametrize("package", OF_THE_EXTRA)
def test_a_command_names_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: list[str]) -> int:
        raise ModuleNotFoundError(f"No module named '{package}.part'", name=f"{package}.part")

    monkeypatch.setattr(infopace.lab.command_line, "run", run)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == f'infopace: this command needs {package}: pip install "infopace[lab]"\n'


def test_a_command_does_not_hide_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'mine'", name="mine")

    monkeypatch.setattr(infopace.lab.command_line, "run", run)
    with pytest.raises(ModuleNotFoundError, match="mine"):
        main(["train"])


def foreign(source: str) -> set[str]:
    """The packages that a source imports, beside Python's own modules, torch, numpy and infopace."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"infopace", "numpy", "torch"}


def test_an_extra_brings_each_package_that_the_source_imports() -> None:
    found = set[str]().union(*(foreign(path.read_text()) for path in PACKAGE.rglob("*.py")))
    imported_by_others = {"PIL"}  # by datasets, which reads images
    assert found | imported_by_others == {*EXTRA_OF, *WITHOUT_EXTRA}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        names = {Requirement(text).name for text in extras[extra]}
        assert NAME_ON_THE_INDEX.get(package, package) in names, f"the extra {extra} has no {package}"


def test_every_pip_line_names_an_extra_that_there_is() -> None:
    """And in double quotes, which every shell understands."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    texts = [*PACKAGE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    lines = [
        (str(path.relative_to(ROOT)), line)
        for path in texts
        if "_build" not in path.parts
        for line in re.findall(r"""pip install .{0,3}infopace\[.*?\].?""", path.read_text())
    ]
    assert lines
    for path, line in lines:
        named = re.fullmatch(r'pip install "infopace\[([\w,{}]+)\]"', line)
        assert named, f"{path}: {line}"
        assert set(named[1].split(",")) <= {*extras, "{extra}"}, f"{path}: {line}"
