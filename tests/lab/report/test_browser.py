"""The page in a headless Chromium: it draws, can be read and toggled, is dark at night and fits a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.report import ReportConfig, report

pytestmark = pytest.mark.needs_browser
MakeRun = Callable[..., Path]
CURVES = "return [...document.querySelectorAll('.plot')].map((p) => p.querySelectorAll('.curve').length)"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\""


@pytest.fixture
def written(
    make_run: MakeRun, tmp_path: Path, range_test_json: dict[str, Any], comparison_json: dict[str, Any]
) -> Path:
    """A report with everything in it: a method of two seeds, a layer-wise one, a range test, a comparison."""
    folders = (make_run("a"), make_run("b", seed=1), make_run("c", layers=("conv", HOSTILE)))
    (folders[0] / "range-test.json").write_text(json.dumps(range_test_json))
    (folders[0] / "comparison.json").write_text(json.dumps(comparison_json))
    out = tmp_path / "report.html"
    report(ReportConfig(folders, out))
    return out


def click(browser: Any, key: str) -> None:
    browser.run("document.querySelector(`[data-key='${given[0]}']`).click()", key)


def test_it_draws_without_a_complaint(browser: Any, written: Path) -> None:
    browser.open(written)
    # Two seeds and their mean; two layers (three measured); a decoder bound each; then the range test.
    assert browser.run(CURVES) == [5, 8, 4, 1, 1, 1]
    lengths = browser.run("return [...document.querySelectorAll('.curve')].map((c) => c.getTotalLength())")
    assert min(lengths) > 100
    assert browser.run("return document.querySelectorAll('.plot .line').length") == 2 + 3 * 3
    assert browser.complaints() == []


def test_hovering_a_move_shows_values_and_its_reason(browser: Any, written: Path) -> None:
    browser.open(written)
    assert browser.hover(0, 0.5, 0.5) != ""
    # Epoch 3 of 8, between the margins of a plot.
    width = browser.run("return document.querySelector('.plot').clientWidth")
    shown = browser.hover(0, (58 + (width - 72) * 3 / 8) / width, 0.2)
    assert shown.splitlines()[0] == "epoch 3"
    assert "global\n0.03 (0.03 to 0.03)" in shown and "layer-wise, conv\n0.03" in shown
    assert f"layer-wise, {HOSTILE}" in shown.replace("\n'", "\u2028'")
    assert "global, seed 0: 0.1 to 0.03. because of epoch 3" in shown
    assert (
        browser.run("return document.querySelectorAll('.plot .cursor').length") == 3
    )  # the plots move together
    assert browser.complaints() == []


def test_the_keyboard_reads_values(browser: Any, written: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.open(written)
    browser.run("document.querySelectorAll('.plot')[2].focus()")
    box = browser.driver.find_elements(By.CSS_SELECTOR, ".plot")[2]
    box.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert browser.run("return document.getElementById('tip').innerText").startswith("epoch 1\n")
    box.send_keys(Keys.ESCAPE)
    assert browser.run("return document.getElementById('tip').hidden")


def test_a_legend_entry_hides_its_curves_and_shows_them_again(browser: Any, written: Path) -> None:
    browser.open(written)
    before = browser.run(CURVES)
    click(browser, "m0")
    assert browser.run(CURVES) == [2, 4, 1, 1, 1, 1]
    assert (
        browser.run("return document.querySelector('[data-key=m0]').getAttribute('aria-pressed')") == "false"
    )
    click(browser, "m1.0")
    assert browser.run(CURVES) == [1, 3, 1, 1, 1, 1]
    click(browser, "m1")  # a method takes its layers along
    assert browser.run(CURVES) == [0, 0, 0, 1, 1, 1]
    for key in ("m0", "m1", "m1.0"):
        click(browser, key)
    assert browser.run(CURVES) == before
    assert browser.complaints() == []


def test_dark_is_dark(browser: Any, written: Path) -> None:
    look = (
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.curve')).stroke]"
    )
    browser.open(written)
    light = browser.run(look)
    browser.open(written, dark=True)
    dark = browser.run(look)
    assert light == ["rgb(255, 255, 255)", "rgb(0, 114, 178)"]
    assert dark == ["rgb(18, 22, 28)", "rgb(74, 159, 219)"]
    browser.run("document.getElementById('theme').click()")
    assert browser.run(look) == light


def test_a_phone_needs_no_sideways_scroll(browser: Any, written: Path) -> None:
    browser.open(written, width=360)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.run("return document.documentElement.scrollWidth") == 360
    browser.hover(0, 0.5, 0.5)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    inside = browser.run(
        "return [...document.querySelectorAll('.plot text')].every((t) => { const r = t.getBoundingClientRect();"
        " return r.left >= 0 && r.right <= 361; })"
    )
    assert inside


def test_values_as_a_table(browser: Any, written: Path) -> None:
    browser.open(written)
    browser.run("document.querySelectorAll('details[data-chart]')[2].open = true")
    rows = browser.run(
        "return [...document.querySelectorAll('details[data-chart]')[2].querySelectorAll('tr')].map((r) => r.innerText)"
    )
    assert rows[0].split("\t") == ["epoch", "global", "layer-wise"]
    assert rows[-1].split("\t") == ["8", "96.89", "96.39"]


def test_a_run_without_an_epoch_draws_too(browser: Any, make_run: MakeRun, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    report(
        ReportConfig(
            (make_run(done=-1, finished=False), make_run("b", done=0, finished=False, workload="w")), out
        )
    )
    browser.open(out)
    browser.hover(0, 0.5, 0.5)
    assert browser.complaints() == []
