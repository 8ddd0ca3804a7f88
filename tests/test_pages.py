"""The pages of the site: each says what it is for, and its links, numbers and reasons are those of today."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from .house import PACKAGE, ROOT, tracked_files
from .pages import DOCS, PAGES, links, sections

WHY = DOCS / "why-did-it-move.md"
# What says why a rate moved, and where it is looked for.
GIVE_REASONS = [
    *(PACKAGE / "policies").glob("_*.py"),
    *(
        PACKAGE / "scheduler" / f"_{n}.py"
        for n in ("ledger", "explain", "finding", "search", "roll_back", "pacer")
    ),
]
# Sentences in these modules that no reader of `explain` gets.
OTHER_WORDS = {
    "_policy.py": ["number of nats"],
    "_roll_back.py": ["units of", "to .. were rolled back one after the other, the last because"],
    "_finding.py": ["nothing was learned in"],
    "_decay.py": ["shape("],
    "_explain.py": ["<t", 'style="'],
    "_pacer.py": [
        "the reference",
        "what a trial gave",
        "the reasons to roll back",
        "the decision",
        "needs the steps since the last call",
        "without every takes no steps",
        "how often to measure",
        "the number of decisions",
        "the learning rates",
    ],
}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_page_starts_with_what_the_reader_can_do_after_it(page: Path) -> None:
    title, empty, first, *_ = page.read_text().splitlines()
    assert title.startswith("# ") and empty == ""
    assert first.startswith("After this page ")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_code_fits_the_column(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 88] == []


def test_links_between_documents_and_their_anchors_resolve() -> None:
    broken: list[str] = []
    for path in (one for one in tracked_files() if one.suffix == ".md"):
        for file, anchor in links(path.read_text()):
            target = (path.parent / file) if file else path
            there = target.exists() and (not anchor or target.suffix == ".py" or anchor in sections(target))
            broken += [] if there else [f"{path.relative_to(ROOT)}: {file}#{anchor}"]
    assert broken == []


@pytest.mark.parametrize("name", ["how-to-choose", "when-not-to-use-it"])
def test_a_number_stands_in_the_section_that_is_linked(name: str) -> None:
    """Paragraphs and points that link to results: each of their numbers with a point is there."""
    found: list[str] = []
    checked = 0
    for part in re.split(r"\n\n|\n(?=- )", (DOCS / f"{name}.md").read_text()):
        linked = [
            (file, anchor)
            for file, anchor in links(part)
            if anchor and file.startswith(("results", "how-good"))
        ]
        text = " ".join(sections(DOCS / file)[anchor] for file, anchor in linked)
        numbers = re.findall(r"(?<![\w.])\d*\.\d+(?![\w.])", re.sub(r"\]\([^)]*\)", "]", part))
        known = re.findall(r"(?<![\w.])\d*\.\d+", text)
        found += [number for number in numbers if number not in known]
        checked += len(numbers)
    assert found == []
    assert checked > 25


def sentences(path: Path) -> list[list[str | None]]:
    """The words that a module can say: the parts of its texts, None where a value stands. Errors say others."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Assert):
            skipped |= set(ast.walk(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped |= {part for part in node.values if isinstance(part, ast.Constant)}
            specs = (part.format_spec for part in node.values if isinstance(part, ast.FormattedValue))
            skipped |= {part for spec in specs if spec is not None for part in ast.walk(spec)}
    found: list[list[str | None]] = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            found.append(
                [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            found.append([node.value])
    return found


def explained() -> list[str]:
    """The reasons that the page explains: what stands in code at the head of a point."""
    points = re.split(r"\n(?=- )", sections(WHY)["every-reason"])[1:]
    heads = [point.split("\\\n")[0] for point in points]
    return [reason for head in heads for reason in re.findall(r"`([^`]+)`", head)]


def reasons() -> dict[str, re.Pattern[str]]:
    """What the code can say about a move, each with a pattern for it. A point leaves out the signs at its ends."""
    found: dict[str, re.Pattern[str]] = {}
    for path in GIVE_REASONS:
        for parts in sentences(path):
            words = "".join(".." if part is None else part for part in parts).strip(" .,:;")
            other = any(words.startswith(one) for one in OTHER_WORDS.get(path.name, ()))
            if not other and len(re.findall(r"[a-z]{2,}", words)) > 1:
                found[words] = re.compile(re.escape(words).replace(r"\.\.", ".{0,80}?"))
    return found


def test_every_reason_of_the_code_is_explained() -> None:
    page = explained()
    missing = [words for words, pattern in reasons().items() if not any(map(pattern.search, page))]
    assert len(reasons()) > 40
    assert missing == []


def test_every_reason_that_is_explained_is_one_of_the_code() -> None:
    known = reasons().values()
    unknown = [one for one in explained() if not any(pattern.search(one) for pattern in known)]
    assert len(explained()) > 45
    assert unknown == []
