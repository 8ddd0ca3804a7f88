"""What is written: the code in it runs, its links resolve, and it names what is there."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import infopace
from infopace.lab.workload import Workload
from infopace.range_test import Race

from .house import LIBRARY, PACKAGE, ROOT, public_names, tracked_files


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


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
    paths = sorted((ROOT / "docs" / "api").glob("*.md"))
    pages = [path.read_text() for path in paths if path.stem != "integrations"]
    names = [name.removeprefix("infopace.") for page in pages for name in documented(page)]
    # The page may name a symbol by its room where the front door has it too.
    front = {f"{room}.{name}": name for room in LIBRARY for name in infopace.__all__}
    assert sorted(front.get(name, name) for name in names) == sorted(public_names())


def test_every_adapter_is_in_the_reference() -> None:
    page = documented((ROOT / "docs" / "api" / "integrations.md").read_text())
    adapters = sorted(path for path in (PACKAGE / "integrations").glob("[!_]*.py"))
    assert [path.stem for path in adapters] == ["accelerate", "keras", "lightning", "transformers"]
    assert {name.split(".")[2] for name in page} == {"readings", *(path.stem for path in adapters)}
    assert all(path.read_text().count("\n") <= 80 for path in adapters)
    assert all((ROOT / "docs" / "how-to" / f"{path.stem}.md").is_file() for path in adapters)


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
    """Enough steps for a search."""
    inputs, targets = labelled()
    for batch in torch.arange(len(inputs)).split(12):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()


def labelled() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(1200, 6, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()


def what_readers_have(folder: Path) -> dict[str, Any]:
    """The names that the documents take for granted: a model, its data, an optimizer."""
    torch.manual_seed(0)
    inputs, targets = labelled()
    model = build_model()
    return {
        "torch": torch,
        "model": model,
        "build_model": build_model,
        "train_data": torch.utils.data.TensorDataset(inputs, targets),
        "train_loader": list(zip(inputs.split(12), targets.split(12), strict=True)),
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
        "docs/api/diagnostics.md",
        "docs/api/regularizers.md",
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "how-to").glob("*.md")),
    )
    if python_blocks((ROOT / name).read_text())
]


@pytest.mark.filterwarnings("ignore:::lightning", "ignore:::keras", "ignore:.*pin_memory")
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
