"""The pages of the project, as their links and anchors see them."""

from __future__ import annotations

import re
from pathlib import Path

from .house import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("**/*.md") if "_build" not in path.parts)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", flags=re.MULTILINE)
_FENCE = re.compile(r"^(`{3,}|:{3,}).*?^\1$", flags=re.MULTILINE | re.DOTALL)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def sections(path: Path) -> dict[str, str]:
    """The text below each heading of a page, up to the next one of its level or above; by anchor."""
    text = _FENCE.sub(lambda block: re.sub(r"^#", " ", block[0], flags=re.MULTILINE), path.read_text())
    headings = list(_HEADING.finditer(text))
    found = {"": text}
    for i, heading in enumerate(headings):
        after = (one.start() for one in headings[i + 1 :] if len(one[1]) <= len(heading[1]))
        name, again = slug(heading[2]), 0
        while name in found:
            again += 1
            name = f"{slug(heading[2])}-{again}"
        found[name] = text[heading.start() : next(after, len(text))]
    return found


def links(text: str) -> list[tuple[str, str]]:
    """The links of a page within the project: the file, empty for the page itself, and the anchor, empty for none."""
    targets = (
        target.partition("#") for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target
    )
    return [(file, anchor) for file, _, anchor in targets]
