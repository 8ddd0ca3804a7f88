"""The site that `make docs` builds: no warnings, every page can be found by its title, and all fit a phone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .house import ROOT
from .pages import DOCS, PAGES

pytestmark = pytest.mark.needs_browser
NAMES = [str(path.relative_to(DOCS).with_suffix("")) for path in PAGES]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    flags = ["--fail-on-warning", "--keep-going", "-q", "-b", "html"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *flags, "docs", str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert (built.returncode, built.stderr) == (0, "")
    return out


def test_the_search_knows_every_page_by_its_title(site: Path) -> None:
    text = (site / "searchindex.js").read_text()
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    titles = [path.read_text().splitlines()[0].removeprefix("# ") for path in PAGES]
    assert sorted(index["titles"]) == sorted(titles)
    assert sorted(index["docnames"]) == sorted(NAMES)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("why learning rate move", "why-did-it-move.html"),
        ("RollBackError", "api/scheduler.html"),
        ("tensorboard", "how-to/log.html"),
    ],
)
def test_a_search_finds_its_page(browser: Any, site: Path, words: str, page: str) -> None:
    browser.open(site / "search.html")
    browser.driver.get(f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    # Results come one after the other.
    links = "[...document.querySelectorAll('#search-results li a')].map((a) => a.href)"
    assert browser.wait(f"return {links}.filter((one) => one.includes('{page}'))")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(browser: Any, site: Path, width: int) -> None:
    browser.complaints()  # of a search in files: their excerpts cannot be fetched
    wide: list[str] = []
    for name in NAMES:
        browser.open(site / f"{name}.html", width=width)
        script = "return [document.documentElement.scrollWidth, window.innerWidth]"
        needs, has = browser.run(script)
        wide += [f"{name}: {needs} px"] if needs > has or has != width else []
    assert wide == []
    assert browser.complaints() == []
