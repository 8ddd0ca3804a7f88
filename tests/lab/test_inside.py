"""Diagnostics of the lab's runs: recorded after each epoch, changing nothing, resumed, shown in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab.run_folder import RunFolder

RUN = ["train", "digits-mlp", "--threads", "1", "--method", "adamw-cosine", "--lr", "0.01"]


def rows(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(folder).read_rows()]


def test_a_run_records_them_resumes_and_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plain = tmp_path / "run", tmp_path / "plain"
    assert main([*RUN, "--epochs", "2", "--diagnostics", "1", "--out", str(out)]) == 0
    found = rows(out)
    assert [list(row["diagnostics"]) for row in found] == [["plane", "spread"]] * 3
    assert found[0]["diagnostics"]["plane"]["noise"] == 1.0
    assert list(found[2]["diagnostics"]["plane"]["layers"]) == ["1", "3", "output"]
    targets = [row["diagnostics"]["plane"]["layers"]["output"]["targets"]["nats"] for row in found]
    assert targets[0] < 0.1 < targets[1] < targets[2]
    assert json.loads((out / "run.json").read_text())["settings"]["diagnostics"] == 1.0

    # They change no other number.
    assert main([*RUN, "--epochs", "2", "--out", str(plain)]) == 0
    assert [{k: v for k, v in row.items() if k != "diagnostics"} for row in found] == rows(plain)

    # Lost after epoch 1, made again bit for bit.
    (out / "summary.json").unlink()
    lines = (out / "epochs.jsonl").read_text().splitlines(keepends=True)
    (out / "epochs.jsonl").write_text("".join(lines[:2]))
    for checkpoint in out.glob("epoch-0002*.pt"):
        checkpoint.unlink()
    assert main([*RUN, "--epochs", "2", "--diagnostics", "1", "--out", str(out)]) == 0
    assert rows(out) == found

    page = tmp_path / "report.html"
    assert main(["report", str(out), str(plain), "--out", str(page)]) == 0
    text = page.read_text()
    assert "Information about the inputs, noise 1 rms(T)" in text and "Spread of activations" in text
    assert "after epoch 2, with noise N of 1 rms(T) and" in text

    whole = RunFolder(out).read_rows()
    whole[1]["diagnostics"]["plane"]["layers"]["1"]["inputs"]["nats"] = "much"
    (out / "epochs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in whole))
    assert main(["report", str(out), "--out", str(page)]) == 2
    assert "must hold diagnostics of finite numbers, and does not in epoch 1" in capsys.readouterr().err


@pytest.mark.parametrize("noise", ["0", "-1", "nan"])
def test_noise_that_is_none_is_refused(
    noise: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, f"--diagnostics={noise}", "--out", str(tmp_path / "run")]) == 2
    assert (
        f"diagnostics must be the positive size of the noise, got diagnostics = {noise}"
        in capsys.readouterr().err
    )
