"""The field's own words: what the project calls things, in code, messages, docs and the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Spelt so that the pattern finds whole words only; what to say instead stands beside it.
INSTEAD = {
    r"rivals?": "baseline",
    r"visibl[ey]|invisibl[ey]": "significant, significantly",
    r"memori[sz](?!ation)\w*": "overfit",
    r"in place of": "instead of",
    r"tells?|told|untold": "estimate, measure, say",
    r"trainings": "training runs, runs",
    r"undo\w*|undone": "roll back, rolled back",
    r"knows? by heart": "overfit",
    r"anneal\w*": "decay",
    r"unseen": "held out",
}
FILES = [
    path
    for pattern in (
        "src/infopace/**/*.py",
        "docs/**/*.md",
        "studies/**/*.py",
        "studies/**/*.md",
        "examples/*.py",
        "*.md",
    )
    for path in sorted(ROOT.glob(pattern))
    if "_build" not in path.parts
]
# The field's own uses, and words that others have printed.
ALLOWED = re.compile(r"results/policy_\w+\.jsonl|CSS|visibility|\"visible\"|aria-|\.tell\(\)")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_uses_the_fields_words(path: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: say {word}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for pattern, word in INSTEAD.items()
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", ALLOWED.sub("", line), re.IGNORECASE)
    ]
    assert found == []


def test_a_private_word_is_found() -> None:
    words = "rival visibly memorized told trainings undone anneals"
    patterns = "|".join(INSTEAD)
    assert len(re.findall(rf"\b(?:{patterns})\b", words)) == 7
