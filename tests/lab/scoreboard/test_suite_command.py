"""A scoreboard as a whole: real processes, killed and resumed, and rows that are taken up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infopace.cli import main
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.scoreboard import compare_suite, find_suite
from infopace.lab.scoreboard._board import Board
from infopace.lab.scoreboard._command import ROWS, SuitePlan
from infopace.lab.scoreboard._tables import cost_table, final_table, score_table, target_table

SPEC = f"{Path(__file__).with_name('own_suite.py')}:SUITE"
OPTIONS: dict[str, Any] = {"seeds": (0,), "tuning_seeds": (1000, 1001), "finalists": 2, "workers": 2}


def run(folder: Path, *methods: str, suite: str = SPEC, **options: Any) -> tuple[list[str], list[str]]:
    """The lines while it ran, and the last ones."""
    said: list[str] = []
    found = find_suite(suite)
    plan = SuitePlan(found.of_methods(methods) if methods else found, folder=folder, **{**OPTIONS, **options})
    return said, compare_suite(plan, said.append)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]


def tables(folder: Path) -> list[str]:
    """Every table, with the costs that do not depend on the machine."""
    board = Board(find_suite(SPEC), OPTIONS["seeds"], OPTIONS["tuning_seeds"], rows(folder), clock=False)
    scores = [line.rpartition("|")[0].rpartition("|")[0] for line in score_table(board)]
    return [*scores, *cost_table(board), *target_table(board), *final_table(board)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A scoreboard without a paced method, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("board") / "whole"
    return folder, *run(folder, "adam")


def test_it_ends_with_the_tables_and_the_pictures(whole: tuple[Path, list[str], list[str]]) -> None:
    folder, said, last = whole
    assert [line for line in said if "jobs" in line] == [
        "tuning, every rate: 8 jobs, 0 of them done already",
        "tuning, the best rates: 6 jobs, 0 of them done already",
        "comparison, seed 0: 2 jobs, 0 of them done already",
    ]
    assert re.match(r"\| adam +\| \d\.\d{3} ", last[2])
    assert re.match(r"\| cosine-tuned +\| 1\.000 ", last[3])
    for name in ("profiles.png", "curves.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "## Final test value" in (folder / "tables.md").read_text()
    adam = [row for row in rows(folder) if row["method"] == "adam"]
    # A method without a plan runs for 1.5 budgets, of 4 and of 6 epochs.
    assert sorted(len(row["test"]) for row in adam) == [6, 9]
    # 120 examples, a fifth of each class set aside: 96 in batches of 16.
    assert {n for row in adam for n in row["batches"]} == {6}


def test_a_second_time_nothing_runs(whole: tuple[Path, list[str], list[str]]) -> None:
    folder, _, last = whole
    said, again = run(folder, "adam")
    assert all("0 jobs" in line or re.search(r"(\d+) jobs, \1 of them", line) for line in said)
    assert again == last


def test_the_rows_alone_are_enough(tmp_path: Path, whole: tuple[Path, list[str], list[str]]) -> None:
    folder, _, last = whole
    said, again = run(tmp_path / "other", "adam", known=(folder / ROWS,))
    assert not any(re.match(r"\d+/", line) for line in said)
    assert again[:4] == last[:4]


def test_rows_of_other_data_or_budgets_do_not_count(
    tmp_path: Path, whole: tuple[Path, list[str], list[str]]
) -> None:
    changed = tmp_path / "changed.jsonl"
    found = [
        row | {"inputs": row["inputs"] | {"epochs": 5}} for row in rows(whole[0]) if row["method"] == "adam"
    ]
    changed.write_text("".join(f"{json.dumps(row)}\n" for row in found))
    said, _ = run(tmp_path / "board", "adam", known=(whole[0] / ROWS, changed))
    assert f"note: 2 of 2 rows of {changed} are of other workloads, data or budgets" in said
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"workload": "digits"}\n')
    with pytest.raises(InputError, match=r"broken.jsonl, line 1: no row of a scoreboard, got {'workload'"):
        run(tmp_path / "board", "adam", known=(broken,))


def test_the_report_shows_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, list[str], list[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(whole[0])]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "area under the profile" in page
    assert "cosine-tuned" in page


@pytest.mark.slow
def test_killed_twice_it_ends_with_the_same_tables(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    options = ["--seeds", "1", "--tuning-seeds", "2", "--finalists", "2", "--jobs", "2", "--out", "cut"]
    command = [sys.executable, "-m", "infopace.cli", "compare", "--suite", SPEC, *options]
    for number in (3, 6):
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if re.match(rf" *{number}/", line):
                    process.send_signal(signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_that_is_lost_is_named_and_made_by_the_next_command(tmp_path: Path) -> None:
    source = Path(__file__).parent.with_name("own.py").read_text()
    (tmp_path / "own.py").write_text(source)
    (tmp_path / "scoreboard").mkdir()
    suite = tmp_path / "scoreboard" / "suite.py"
    suite.write_text(Path(__file__).with_name("own_suite.py").read_text())
    (tmp_path / "bomb").write_text("3")
    with pytest.raises(Unfinished, match=r"runs are missing: 1; the first: mine: cosine-tuned.*SIGKILL"):
        run(tmp_path / "board", "adam", suite=f"{suite}:SUITE", workers=1)
    _, last = run(tmp_path / "board", "adam", suite=f"{suite}:SUITE", workers=1)
    assert re.match(r"\| cosine-tuned +\| 1\.000 ", last[3])
