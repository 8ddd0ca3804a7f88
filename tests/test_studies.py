"""Every study says what it asks, and the results page is what its rows give."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUDIES = sorted(path for path in (ROOT / "studies").iterdir() if path.is_dir() and path.name[0] not in "._")
QUESTIONS = [path for path in STUDIES if path.name != "shared"]
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.fixture
def _studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    # Under importlib mode another test may have imported another folder of that name.
    assert "studies" not in sys.modules or str(ROOT) in str(sys.modules["studies"].__path__)


@pytest.mark.parametrize("study", QUESTIONS, ids=lambda path: path.name)
def test_a_study_has_a_question_an_expectation_and_an_answer(study: Path) -> None:
    readme = (study / "README.md").read_text()
    found = re.findall(r"^\*\*(Question|Expected|Answer)\.\*\* \S", readme, flags=re.MULTILINE)
    assert found == ["Question", "Expected", "Answer"]


def test_the_table_of_studies_names_every_folder() -> None:
    table = (ROOT / "studies" / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[\w+\]\((\w+)/README.md\)", table, re.MULTILINE)) == [
        path.name for path in QUESTIONS
    ]


@pytest.mark.usefixtures("_studies")
def test_the_results_page_is_what_its_rows_give() -> None:
    from studies.results_page import page
    from studies.scoreboard.section import PAGES, with_tables

    again = "python -m studies.results_page writes it anew"
    assert (ROOT / "docs" / "results.md").read_text() == page(), again
    for name in PAGES:
        shown = (ROOT / name).read_text()
        assert "<!-- scoreboard: " in shown
        assert shown == with_tables(shown), again


@pytest.mark.usefixtures("_studies")
def test_every_section_is_on_the_results_page() -> None:
    from studies.results_page import ORDER

    assert sorted(ORDER) == [path.name for path in QUESTIONS if (path / "section.py").exists()]


def test_links_to_the_results_page_lead_to_a_heading() -> None:
    anchors = {anchor(heading) for heading in HEADING.findall((ROOT / "docs" / "results.md").read_text())}
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "studies").rglob("*.md")]
    linked = {
        (path.relative_to(ROOT).as_posix(), link)
        for path in documents
        if "_build" not in path.parts
        for link in re.findall(r"results\.md#([^)\s]+)\)", path.read_text())
    }
    assert linked
    assert {(path, link) for path, link in linked if link not in anchors} == set()


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading.

    >>> anchor("The 95 % interval, on two networks")
    'the-95--interval-on-two-networks'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
