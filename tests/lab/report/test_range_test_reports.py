"""From a real range test to the page: what `infopace range-test` and `infopace train` leave, the report shows."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main

# The range test that they share takes ten seconds.
pytestmark = pytest.mark.slow
QUICK = ["range-test", "tiny", "--threads", "1", "--trials", "2", "--high", "3", "--out"]


@pytest.fixture(autouse=True)
def in_its_folder(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny workload is known, and folders are relative to the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one range test that all tests share."""
    return tmp_path_factory.mktemp("shared") / "found"


@pytest.fixture
def tested(shared: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A layer-wise test in the folder `found`; what the command says of it. It runs once."""
    if shared.exists():
        shutil.copytree(shared, "found")
    assert main([*QUICK, "found", "--layer-wise"]) == 0
    if not shared.exists():
        shutil.copytree("found", shared)
    return capsys.readouterr().out


def report(*folders: str) -> str:
    assert main(["report", *folders]) == 0
    return Path("report.html").read_text()


def words(text: str) -> str:
    body = text.partition("<main>")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def charts_of(text: str) -> dict[str, dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return {chart["title"]: chart for chart in json.loads(found[1])}


def kept(folder: str) -> dict[str, Any]:
    return json.loads(Path(folder, "range-test.json").read_text())


@pytest.mark.slow
def test_what_a_range_test_writes_is_what_the_page_is_tested_with(
    tested: str, range_test_json: dict[str, Any]
) -> None:
    """So that test_page.py, which has no range test, shows what is real."""
    written = kept("found")
    assert set(written) == set(range_test_json) | {"spread_decades"}
    for name in ("bounds", "table", "crashes"):
        real, made = written[name], range_test_json[name]
        first, model = (real, made) if isinstance(made, dict) else (real[0], made[0])
        assert set(first) >= set(model), name
    assert set(written["table"][0]["range"]) == set(range_test_json["table"][0]["range"])
    assert list(written["layer_bounds"]) == ["0", "3"]


def test_a_range_test_folder(tested: str) -> None:
    text, found = report("found"), kept("found")
    seen, charts = words(text), charts_of(text)
    b = found["bounds"]
    assert f"lr_min {b['lr_min']:.3g} lr_top {b['lr_top']:.3g} lr_max {b['lr_max']:.3g}" in seen
    assert "a race of candidates, by accuracy trials 2" in seen
    for layer, own in found["layer_bounds"].items():
        assert f"{layer} {own['lr_min']:.3g} {own['lr_top']:.3g} {own['lr_max']:.3g}" in seen
        assert f"{layer}: lr_min {own['lr_min']:.3g}" in tested
    assert list(charts) == ["Accuracy", "Loss", "Information"]
    rates = [row["lr"] for row in found["table"]]
    assert charts["Loss"]["x"] == rates
    losses = [row["final_loss"] for row in found["table"]]
    assert charts["Loss"]["series"][0]["y"] == pytest.approx(losses, rel=1e-4)
    # A rate at which every trial crashes has no point, and is named.
    assert 1.78 not in rates and "1.78 in 2" in seen


@pytest.mark.slow
def test_the_test_before_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiny", "--threads", "1", "--epochs", "2", "--out", "run"]) == 0
    text = report("run")
    assert set(charts_of(text)) >= {"Learning rate", "Test accuracy", "Accuracy", "Loss"}
    assert "Range test" in words(text) and "folder run/range-test" in words(text)
    # Named itself as well, it is shown once. A run with given bounds has none.
    assert words(report("run", "run/range-test")).count("folder run/range-test") == 1
    command = "train tiny --threads 1 --epochs 1 --out given --bounds workload"
    assert main(command.split()) == 0
    assert "Range test" not in words(report("given"))


@pytest.mark.slow
def test_algorithm_2() -> None:
    paper = [
        "--method",
        "paper",
        "--epochs-each",
        "2",
        "--attribute",
        "loss",
        "--c1",
        "100",
        "--low",
        "0.001",
        "--high",
        "50",
    ]
    assert main([*QUICK[:-3], *paper, "--high", "50", "--out", "found"]) == 0
    seen = words(report("found"))
    assert "Algorithm 2 of Vasudevan 2020, by loss trials 2" in seen


def test_a_test_without_a_result_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK[:-1], "--high", "0.02", "--out", "found"]) == 4
    seen = words(report("found"))
    assert "Range test state no bounds: not finished, or refused; give the same command again" in seen
    assert charts_of(Path("report.html").read_text()) == {}


@pytest.mark.needs_browser
def test_it_draws(browser: Any, tested: str, tmp_path: Path) -> None:
    report("found")
    browser.open(tmp_path / "report.html")
    assert browser.run(
        "return [...document.querySelectorAll('.plot')].map((p) => p.querySelectorAll('.curve').length)"
    ) == [1, 1, 1]
    lengths = browser.run("return [...document.querySelectorAll('.curve')].map((c) => c.getTotalLength())")
    assert min(lengths) > 100
    assert browser.run("return document.querySelectorAll('.plot .line').length") == 3 * 3
    rows = browser.run("return [...document.querySelectorAll('tbody th')].map((th) => th.innerText)")
    assert {"0", "3"} <= set(rows)
    assert browser.hover(0, 0.5, 0.5) != ""
    assert browser.complaints() == []
