"""The file itself: it says what the runs came to, needs nothing else, stays small, and lets nothing through."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab.errors import InputError
from infopace.lab.report import ReportConfig, report
from infopace.lab.report.charts import Chart
from infopace.lab.report.curves import experiment_charts, legend
from infopace.lab.report.page import page
from infopace.lab.report.reading import read_folders
from infopace.pictures import COLOURS, COLOURS_ON_DARK

MakeRun = Callable[..., Path]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028 é"


def charts_of(text: str) -> list[dict[str, Any]]:
    """The data of the charts, as the script of the page reads them."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def words(text: str) -> str:
    """What a reader sees of the tables: the text without its elements."""
    body = text.partition("<main>")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def charts(*folders: Path) -> dict[str, Chart]:
    return {chart.title: chart for chart in experiment_charts(read_folders(folders).experiments[0])}


def test_one_run(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(make_run()), "--out", str(out)]) == 0
    assert re.fullmatch(rf"report: {re.escape(str(out))} \(\d+ kB\)\n", capsys.readouterr().out)
    text = out.read_text()
    assert text.startswith("<!doctype html>") and '<meta name="viewport"' in text
    assert "global 0 8 of 8 96.39 % 96.39 % finished" in words(text)
    assert "0.1 → 0.03 because of epoch 3" in words(text)
    assert [chart["title"] for chart in charts_of(text)] == ["Learning rate", "Information", "Test accuracy"]


def test_a_broken_folder_is_named_on_the_page_and_beside_it(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, broken = tmp_path / "r.html", tmp_path / "<b>roken"
    broken.mkdir()
    (broken / "comparison.json").write_text("[" * 100_000)
    assert main(["report", str(broken), str(make_run()), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"report: {out}")
    line = f"{broken}/comparison.json cannot be read as JSON: "
    assert captured.err.startswith(f"infopace: not in the report: {line}") and captured.err.count("\n") == 1
    text = out.read_text()
    assert f"Not shown {line}" in words(text) and "global 0 8 of 8" in words(text)
    assert "<b>roken" not in text
    assert main(["report", str(broken), "--out", str(tmp_path / "none.html")]) == 2
    assert capsys.readouterr().err.startswith(f"infopace: {line}")
    assert not (tmp_path / "none.html").exists()


def test_what_the_curves_show(make_run: MakeRun) -> None:
    found = charts(make_run())
    (rate,) = found["Learning rate"].series
    assert rate.y == [None, 0.1, 0.1, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01] and rate.step
    assert [(p.x, p.shape, p.text) for p in rate.points] == [
        (1, "hold", "0.1. because of epoch 1"),
        (3, "decay", "0.1 to 0.03. because of epoch 3"),
        (6, "decay", "0.03 to 0.01. because of epoch 6"),
    ]
    assert [line.at for line in found["Learning rate"].lines] == [0.001]
    output, decoder = found["Information"].series
    assert output.low[0] == pytest.approx(-0.02) and output.high[0] == pytest.approx(0.02)
    assert decoder.bound and not output.bound
    assert [line.label for line in found["Information"].lines] == ["reference I(X;Y), 2.303"]
    (test,) = found["Test accuracy"].series
    assert test.y[0] is None and test.y[8] == pytest.approx(96.388, abs=1e-3)
    assert test.points[0].text == "best: 96.39 %, epoch 8"
    assert found["Test accuracy"].summary == "Test accuracy by epoch: global from 44.63 to 96.39 %."


def test_held_out_examples_are_drawn_as_long_as_they_are(make_run: MakeRun) -> None:
    run = make_run()
    rows = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    for row in rows[:4]:
        row["held_out"] = {"output": 0.5 * row["epoch"]}
    (run / "epochs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    information = charts(run)["Information"]
    _, held_out, decoder = information.series
    assert held_out.y == [0.0, 0.5, 1.0, 1.5, *[None] * 5]
    assert held_out.dotted and not held_out.bound
    assert (held_out.label, decoder.label) == ("global, held out", "decoder bound")
    assert "Dotted: the decoder bound at the output and held-out examples." in information.note


def test_seeds_are_drawn_behind_their_mean(make_run: MakeRun) -> None:
    found = charts(make_run("a", seed=0), make_run("b", seed=4, done=5, finished=False))
    first, second, mean = found["Test accuracy"].series
    assert first.faint and second.faint and not mean.faint
    assert len(first.y) == 9 and len(second.y) == 6
    assert len(mean.y) == 6  # as far as both have come
    pair = [value for value in (first.y[5], second.y[5]) if value is not None]
    assert mean.y[5] == pytest.approx(sum(pair) / 2)
    *seeds, rate = found["Learning rate"].series
    assert [point.text for point in seeds[1].points] == [
        "0.1. because of epoch 1",
        "0.1 to 0.03. because of epoch 3",
    ]
    assert rate.y[3] == pytest.approx(0.03)


def test_a_learning_rate_is_averaged_in_its_logarithm(make_run: MakeRun) -> None:
    one, two = make_run("a"), make_run("b", seed=1)
    lines = (two / "epochs.jsonl").read_text().splitlines()
    row = json.loads(lines[1])
    row["lr"], row["decisions"][0]["lr"] = [0.001], 0.001
    (two / "epochs.jsonl").write_text("\n".join([lines[0], json.dumps(row), *lines[2:]]) + "\n")
    assert charts(one, two)["Learning rate"].series[-1].y[1] == pytest.approx(0.01)


def test_layers_have_entries_of_their_own_below_the_method(make_run: MakeRun) -> None:
    folders = [make_run("a"), make_run("b", layers=("conv", "fc"))]
    experiment = read_folders(folders).experiments[0]
    assert [(e.key, e.label) for e in legend(experiment)] == [
        ("m0", "global"),
        ("m1", "layer-wise"),
        ("m1.0", "conv"),
        ("m1.1", "fc"),
        ("m1.2", "output"),  # here no layer's twin
    ]
    lines = [(e.colour, e.dash) for e in legend(experiment)]
    assert len(set(lines)) == len(lines)
    found = charts(*folders)
    assert [s.key for s in found["Learning rate"].series] == ["m0", "m1.0", "m1.1"]
    assert [s.label for s in found["Learning rate"].series] == [
        "global",
        "layer-wise, conv",
        "layer-wise, fc",
    ]


def test_many_methods_never_look_the_same(make_run: MakeRun) -> None:
    folders = [make_run(f"r{i}", method=f"method {i}") for i in range(16)]
    lines = [(e.colour, e.dash) for e in legend(read_folders(folders).experiments[0])]
    assert len(set(lines)) == 16
    assert len(COLOURS) == len(COLOURS_ON_DARK) == len(set(COLOURS)) == len(set(COLOURS_ON_DARK))


@pytest.mark.parametrize("done", [-1, 0, 1])
def test_a_run_that_has_hardly_begun(make_run: MakeRun, done: int) -> None:
    text = page(read_folders([make_run(done=done, finished=False, layers=("conv", "fc"))]))
    assert f"{max(done, 0)} of 8" in words(text) and "not finished" in words(text)
    if done < 1:
        assert "none yet" in words(text) and "no epoch is finished yet" in text


def test_nothing_gets_through_unescaped(
    make_run: MakeRun, comparison_json: dict[str, Any], range_test_json: dict[str, Any]
) -> None:
    folder = make_run("<b>&'", workload=HOSTILE, method=HOSTILE, layers=(HOSTILE, "fc"), note=HOSTILE)
    for name in ("run.json", "epochs.jsonl"):
        path = folder / name
        plain = path.read_text()
        escaped = json.dumps(HOSTILE)[1:-1]
        path.write_text(
            plain.replace("because", escaped).replace("a processor", escaped).replace('"%"', f'"{escaped}"')
        )
    comparison_json["methods"][0] |= {"method": HOSTILE, "note": HOSTILE}
    comparison_json |= {"caption": HOSTILE, "baseline": HOSTILE, "metric": HOSTILE}
    range_test_json["layer_bounds"] = {HOSTILE: range_test_json["bounds"]}
    range_test_json |= {"method": HOSTILE, "attribute": HOSTILE, "notes": [HOSTILE]}
    (folder / "comparison.json").write_text(json.dumps(comparison_json))
    (folder / "range-test.json").write_text(json.dumps(range_test_json))

    text = page(read_folders([folder]))
    assert len(re.findall(r"<script", text)) == len(re.findall(r"</script", text)) == 2
    assert "<img" not in text and "<b>&" not in text
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert data.isascii() and not set("<>&") & set(data)
    assert any(HOSTILE in series["label"] for chart in charts_of(text) for series in chart["series"])
    assert " ".join(HOSTILE.split()) in words(text)


def test_only_the_pages_own_script_may_run_and_nothing_is_loaded(make_run: MakeRun) -> None:
    text = page(read_folders([make_run()]))
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert "://" not in text
    assert not re.search(
        r"<link|@import|url\((?!#)|\bsrc=|\bhref=|\bfetch\(|import\(|innerHTML|\beval\(", text
    )
    assert not re.search(r"\son\w+=", text)  # no handlers in attributes: they could not run
    assert "$" not in text.partition("<script>")[0]  # every place of the template is filled


def test_it_stays_small(make_run: MakeRun) -> None:
    runs = [
        make_run(f"{m}-{s}", method=f"method {m}", seed=s, done=30, epochs=30)
        for m in range(10)
        for s in range(10)
    ]
    text = page(read_folders(runs))
    assert len(text.encode()) < 300_000
    one = page(read_folders(runs[:1]))
    assert len(one.encode()) < 40_000
    assert len(one.rpartition("<script>")[2].encode()) < 20_000


def test_of_long_runs_every_kth_epoch_is_shown_and_the_last(make_run: MakeRun) -> None:
    runs = [make_run(f"{s}", seed=s, done=2001, epochs=2001) for s in range(10)]
    found = read_folders(runs)
    assert len(page(found).encode()) < 300_000
    rate, *_ = experiment_charts(found.experiments[0])
    assert rate.x[0] == 0 and rate.x[-1] == 2001 and len(rate.x) < 400
    assert f"Every {rate.x[1]}th epoch is shown." in rate.note
    moves = [point for series in rate.series for point in series.points]
    assert {(point.x, point.y) for point in moves} == {(1, 0.1), (3, 0.03), (6, 0.01)}  # wherever they fall


def test_a_comparison(make_run: MakeRun, tmp_path: Path, comparison_json: dict[str, Any]) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps(comparison_json))
    text = page(read_folders([tmp_path]))
    seen = words(text)
    assert "paced best 10 98.10 97.90 to 98.30 < 0.001" in seen
    assert "SGD cosine 10 97.50 97.25 to 97.75 baseline" in seen
    assert "Adam 10 97.60 97.30 to 97.90 0.21" in seen
    assert "Prodigy not installed not run" in seen
    assert (
        "higher is better. p: paired test against SGD cosine, with Holm's correction. 30 epochs each." in seen
    )
    assert text.count('class="interval"') == 3


def test_the_lower_mean_is_best_where_lower_is_better(
    tmp_path: Path, comparison_json: dict[str, Any]
) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps(comparison_json | {"higher_is_better": False}))
    assert "SGD cosine best" in words(page(read_folders([tmp_path])))


def test_a_range_test(tmp_path: Path, range_test_json: dict[str, Any]) -> None:
    (tmp_path / "range-test.json").write_text(json.dumps(range_test_json))
    text = page(read_folders([tmp_path]))
    seen = words(text)
    assert (
        "lr_min 0.002 lr_top 0.1 lr_max 0.4 epsilon 0.005 method a race of candidates, by accuracy trials 2 "
        "crashed trials 0.3 in 1, 1 in 2 cost 1,234 steps, 10.4 % of the run; 62 s "
        f"note the run is short folder {tmp_path}"
    ) in seen
    assert "Bounds of each layer. layer lr_min lr_top lr_max conv 0.004 0.2 0.9 fc 0.003 0.15 0.8" in seen
    accuracy, loss, information = charts_of(text)
    assert accuracy["x_axis"] == {"label": "learning rate", "log": True}
    assert accuracy["x"] == [0.001, 0.01, 0.1, 0.3]
    assert accuracy["series"][0]["y"] == [20, 60.5, 90, 80] and accuracy["y_axis"]["unit"] == "%"
    assert accuracy["series"][0]["low"][2] == 81 and accuracy["series"][0]["high"][2] == 94.5
    assert [line["at"] for line in accuracy["lines"]] == [0.002, 0.1, 0.4]
    assert loss["series"][0]["y"] == [2, 1, 0.3, 0.4]
    assert information["title"] == "Information" and information["y_axis"]["unit"] == "nats"
    assert "highest 90 at 0.1. lr_min is 0.002. lr_top is 0.1. lr_max is 0.4." in text


def test_a_range_test_of_a_regression_has_no_accuracy(
    tmp_path: Path, range_test_json: dict[str, Any]
) -> None:
    for row in range_test_json["table"]:
        row["final_accuracy"] = None
        del row["range"]["final_accuracy"]
    range_test_json["layer_bounds"] = {}
    (tmp_path / "range-test.json").write_text(json.dumps(range_test_json))
    text = page(read_folders([tmp_path]))
    assert [chart["title"] for chart in charts_of(text)] == ["Loss", "Information"]
    assert "layer" not in words(text)


def test_the_file_written(make_run: MakeRun, tmp_path: Path) -> None:
    run, out = make_run(), tmp_path / "r.html"
    report(ReportConfig((run,), out))
    first = out.read_bytes()
    report(ReportConfig((run,), out))  # its own kind it replaces
    assert out.read_bytes() == first
    other = tmp_path / "thesis.tex"
    other.write_text("x")
    refused = {
        other: f"{other} exists and is not a report of infopace; choose another --out",
        tmp_path: f"out must be a file, got the folder {tmp_path}",
        tmp_path / "no" / "r.html": f"out must be in a folder that exists, got {tmp_path}/no/r.html",
    }
    for path, message in refused.items():
        with pytest.raises(InputError) as error:
            report(ReportConfig((run,), path))
        assert str(error.value) == message
    assert other.read_text() == "x"
