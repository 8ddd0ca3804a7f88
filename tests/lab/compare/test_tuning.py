"""The two rounds of tuning against a slow, obvious reference, and what a comparison makes of them."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infopace.lab.compare import CompareConfig, choose
from infopace.lab.compare._cells import Cell, Outcome
from infopace.lab.compare._config import ComparePlan, resolve_comparison
from infopace.lab.compare._stages import mean_epochs
from infopace.lab.compare._tuning import tuning_cells
from infopace.lab.errors import InputError, Unfinished
from infopace.lab.tasks import ABSOLUTE_ERROR, ACCURACY, Metric

from ..small import ROW
from .comparing import FILE, OWN, cells_of, rows, run

RATES = (0.001, 0.01, 0.1, 0.3, 1.0)
# What each run would give, by rate and seed; None for one that diverges. Few values, so that there are ties.
FINALS = st.fixed_dictionaries(
    {
        (lr, seed): st.none() | st.integers(0, 4).map(lambda n: n / 4)
        for lr in RATES
        for seed in (1000, 1001, 1002)
    }
)
Finals = dict[tuple[float, int], float | None]


@functools.cache
def plan_of(finalists: int, metric: Metric) -> ComparePlan:
    """A cosine over these rates, with three tuning seeds."""
    plan = resolve_comparison(CompareConfig(OWN, ("sgd-cosine",), rates=RATES, finalists=finalists))
    task = dataclasses.replace(plan.workload.task, metric=metric)
    return dataclasses.replace(plan, workload=dataclasses.replace(plan.workload, task=task))


def ended(cell: Cell, finals: Finals) -> Outcome:
    assert cell.lr is not None
    final = finals[cell.lr, cell.seed]
    return Outcome(cell, () if final is None else (final,), (1.0,), "" if final is not None else "diverged")


def tuned(
    plan: ComparePlan, finals: Finals, metric: Metric, begun: list[Cell]
) -> tuple[float | None, set[Cell]]:
    """The rate and the runs of a command that finds the runs `begun` done already."""
    (entry,) = plan.entries
    outcomes = [ended(cell, finals) for cell in begun]
    while True:
        cells = tuning_cells(entry, plan, outcomes)
        missing = [cell for cell in cells if cell not in [outcome.cell for outcome in outcomes]]
        if not missing:
            made = [outcome for outcome in outcomes if outcome.cell in cells]
            return choose(made, entry.grid, metric).lr, set(cells)
        outcomes += [ended(cell, finals) for cell in missing]


def slowly(
    finals: Finals, finalists: int, higher_is_better: bool
) -> tuple[float | None, set[tuple[float, int]]]:
    """Round by round: every rate once; then one rate after the other, until enough of them have all seeds."""
    made = {(lr, 1000) for lr in RATES}
    left = [lr for lr in RATES if finals[lr, 1000] is not None]
    whole: dict[float, float] = {}
    while left and len(whole) < finalists:
        best = left[0]
        for lr in left:
            one, other = finals[lr, 1000], finals[best, 1000]
            assert one is not None and other is not None
            if one > other if higher_is_better else one < other:
                best = lr
        left.remove(best)
        made |= {(best, 1001), (best, 1002)}
        values = [finals[best, seed] for seed in (1000, 1001, 1002)]
        if None not in values:
            whole[best] = fmean(value for value in values if value is not None)
    order = sorted(whole, key=lambda lr: (-whole[lr] if higher_is_better else whole[lr], lr))
    return (order[0] if order else None), made


@given(FINALS, st.integers(1, 7), st.sampled_from([ACCURACY, ABSOLUTE_ERROR]), st.data())
def test_two_rounds_are_what_one_would_do_by_hand_wherever_they_are_cut(
    finals: Finals, finalists: int, metric: Metric, data: st.DataObject
) -> None:
    plan = plan_of(finalists, metric)
    lr, cells = tuned(plan, finals, metric, [])
    expected, made = slowly(finals, finalists, metric.higher_is_better)
    assert lr == expected
    assert {(cell.lr, cell.seed) for cell in cells} == made
    # A command that was killed, whichever of its runs had ended, goes on to the same ones.
    order = sorted(cells, key=lambda cell: (cell.seed, cell.lr))
    begun = data.draw(st.lists(st.sampled_from(order), unique=True))
    assert tuned(plan, finals, metric, begun) == (lr, cells)


def test_a_rate_of_one_lucky_seed_does_not_win() -> None:
    (entry,) = plan_of(3, ACCURACY).entries
    lucky = {(0.1, 1000): 0.9, (0.01, 1000): 0.8, (0.1, 1001): 0.1, (0.01, 1001): 0.8, (0.3, 1000): 0.99}
    outcomes = [ended(Cell(entry, lr, seed), dict(lucky)) for lr, seed in lucky]
    assert choose(outcomes, entry.grid, ACCURACY).lr == 0.01  # .3 ran once only: it was no finalist


def test_a_lost_run_ends_the_tuning_until_it_is_made() -> None:
    plan = plan_of(3, ACCURACY)
    (entry,) = plan.entries
    first = [Outcome(cell, (0.5,), (1.0,)) for cell in tuning_cells(entry, plan, [])]
    lost = [*first[:-1], dataclasses.replace(first[-1], failure="its process was ended", lost=True)]
    assert len(tuning_cells(entry, plan, first)) == 5 + 3 * 2
    assert len(tuning_cells(entry, plan, lost)) == 5
    assert choose(lost, entry.grid, ACCURACY).lr is None


@pytest.mark.parametrize(
    ("grid", "edge"),
    [
        ((0.1,), "0.1 is the only rate of its grid"),
        ((0.1, 0.3), "0.1 is at the edge of its grid"),
        ((0.01, 0.1), "0.1 is at the edge of its grid"),
        ((0.01, 0.1, 0.3), ""),
    ],
)
def test_the_edge_is_that_of_the_grid_that_was_tried(grid: tuple[float, ...], edge: str) -> None:
    (entry,) = plan_of(3, ACCURACY).entries
    outcomes = [Outcome(Cell(entry, lr, 1000), (float(lr == 0.1),), (1.0,)) for lr in grid]
    tried = choose(outcomes, grid, ACCURACY)
    assert (tried.lr, tried.edge) == (0.1, edge)


def lengths(*numbers: int, lost: bool = False) -> list[Outcome]:
    (entry,) = plan_of(3, ACCURACY).entries
    found = [Outcome(Cell(entry, None, seed), (0.5,) * n, (1.0,) * n) for seed, n in enumerate(numbers)]
    return [*found, Outcome(Cell(entry, None, 99), (), (), "killed", lost=True)] if lost else found


def test_the_epochs_of_ours_are_its_mean_length() -> None:
    assert mean_epochs(lengths(8, 8, 9)) == 8
    assert mean_epochs(lengths(8, 9)) == 9  # a half goes up
    assert mean_epochs(lengths(1)) == 1
    assert mean_epochs([]) is None
    assert mean_epochs(lengths(8, lost=True)) is None
    diverged = Outcome(lengths(3)[0].cell, (0.5,), (1.0,), "training diverged in epoch 2")
    assert mean_epochs([*lengths(8), diverged]) == 8
    assert mean_epochs([diverged]) is None


def test_the_rows_of_one_tuning_seed_are_the_first_round_of_three(tmp_path: Path) -> None:
    """So a comparison that was published with one tuning seed is redone by its new runs alone."""
    rates: dict[str, Any] = {"rates": (0.3, 0.01, 0.03, 0.1)}
    run(tmp_path / "one", "vasudevan-2020", "sgd-cosine", tuning_seeds=1, **rates)
    known = (tmp_path / "one" / "rows.jsonl",)
    said, lines = run(tmp_path / "three", finalists=2, known=known, **rates)
    assert [line for line in said if "jobs" in line][:2] == [
        "tuning: 4 jobs, 4 of them done already",
        "tuning, finalists: 4 jobs, 0 of them done already",
    ]
    found = [row for row in rows(tmp_path / "three") if row["part"] == "tuning"]
    assert sorted(row["seed"] for row in found) == [1000] * 4 + [1001] * 2 + [1002] * 2
    assert cells_of(lines)["sgd-cosine"][8] == "24"  # eight runs of three epochs
    text = "the rates 0.01, 0.03, 0.1, 0.3 with one seed, the best 2 of them with 3 seeds"
    assert f"tuning: {text}; the table has other seeds" in lines
    assert text in json.loads((tmp_path / "three" / "comparison.json").read_text())["caption"]
    settings = json.loads((tmp_path / "three" / "compare.json").read_text())["settings"]
    assert (settings["rates"], settings["finalists"]) == ([0.01, 0.03, 0.1, 0.3], 2)
    # A comparison with another grid or other rounds is another one.
    with pytest.raises(InputError, match=r"holds another comparison: finalists is 2 there and 3 here"):
        run(tmp_path / "three", **rates)
    with pytest.raises(
        InputError, match=r"holds another comparison: rates is \[0\.01, .*\] there and None here"
    ):
        run(tmp_path / "three", finalists=2)


def test_rates_that_differ_in_a_late_digit_have_folders_of_their_own(tmp_path: Path) -> None:
    run(tmp_path, "sgd-cosine", rates=(0.1, 0.10000001), tuning_seeds=1, seeds=1)
    assert sorted(path.name for path in tmp_path.glob("runs/*-seed1000")) == [
        "sgd-cosine-lr0.1-seed1000",
        "sgd-cosine-lr0.10000001-seed1000",
    ]


def test_a_baseline_gets_the_epochs_that_ours_used(tmp_path: Path) -> None:
    methods = ("hold-and-decay-held-out", "sgd-cosine", "sgd-cosine-as-ours")
    options = {"rates": (0.03, 0.1), "tuning_seeds": 2, "finalists": 1, "epochs": 24}
    said, lines = run(tmp_path / "out", *methods, seeds=2, **options)
    found = rows(tmp_path / "out")
    ours = [len(row["test"]) for row in found if row["method"] == methods[0]]
    epochs = mean_epochs(lengths(*ours))
    assert epochs is not None and 1 < epochs < 24
    late = [row for row in found if row["method"] == methods[2]]
    assert {(len(row["test"]), row["run_epochs"], row["epochs"]) for row in late} == {(epochs, epochs, 24)}
    assert [row["part"] for row in late] == ["tuning"] * 3 + ["test"] * 2
    assert {len(row["test"]) for row in found if row["method"] == methods[1]} == {24}
    cells = cells_of(lines)
    assert cells[methods[2]][7:9] == [str(epochs), str(3 * epochs)]
    assert cells[methods[1]][7:9] == ["24", "72"]
    note = f"{epochs} epochs, the mean length of the runs of {methods[0]}"
    assert any(line.startswith(f"{methods[2]}: ") and note in line for line in lines)
    # Again: nothing is left to do, here or with the rows.
    again, same = run(tmp_path / "out", *methods, seeds=2, **options)
    assert not [line for line in again if re.match(r" *\d+/", line)]
    assert same == lines
    known = (tmp_path / "out" / "rows.jsonl",)
    copied, _ = run(tmp_path / "copy", *methods, seeds=2, known=known, **options)
    assert not [line for line in copied if re.match(r" *\d+/", line)]
    assert rows(tmp_path / "copy") == found
    # Where ours is of another length, the known runs are of no use, and a note says so.
    changed = tmp_path / "changed.jsonl"
    cut = [
        {
            **row,
            "run_epochs": epochs - 1,
            "test": row["test"][1:],
            "seconds": row["seconds"][1:],
            "best_epoch": 1,
        }
        if "run_epochs" in row
        else row
        for row in map(json.loads, known[0].read_text().splitlines())
    ]
    changed.write_text("".join(f"{json.dumps(row)}\n" for row in cut))
    said, _ = run(tmp_path / "other", *methods, seeds=2, known=(changed,), **options)
    note = f"note: known runs of {methods[2]} with {epochs - 1} epochs instead of {epochs}, not used: 5"
    assert note in said
    assert "tuning -as-ours: 2 jobs, 0 of them done already" in said
    assert rows(tmp_path / "other") == found


def test_without_a_run_of_ours_its_epochs_are_not_known(tmp_path: Path) -> None:
    """Its first run is killed; the next command makes it, and then the baseline that waited for it."""
    shutil.copy(FILE, tmp_path)
    (tmp_path / "bomb").write_text("2")  # after the two batches of the trial of the workload
    own = {"workload": f"{tmp_path / FILE.name}:MINE", "seeds": 1, "rates": (0.1,), "tuning_seeds": 1}
    methods = ("vasudevan-2020", "sgd-cosine-as-ours")
    with pytest.raises(Unfinished, match="no run of the comparison has finished") as failed:
        run(tmp_path / "out", *methods, **own)
    note = "sgd-cosine-as-ours: its number of epochs is not known; runs of vasudevan-2020 that are missing: 1"
    assert note in failed.value.lines
    assert cells_of(failed.value.lines)["sgd-cosine-as-ours"][3] == "incomplete"
    _, lines = run(tmp_path / "out", *methods, **own)
    assert cells_of(lines)["sgd-cosine-as-ours"][7] == "3"


@pytest.mark.parametrize(
    ("method", "own", "error"),
    [
        ("adam-as-ours", None, r"run_epochs must be a whole number >= 1, got None"),
        ("adam-as-ours", True, r"run_epochs must be a whole number >= 1, got True"),
        ("adam-as-ours", 0, r"run_epochs must be a whole number >= 1, got 0"),
        ("adam-as-ours", 2, r"3 epochs instead of 2"),
        ("adam", 3, r"run_epochs must be absent, got 3"),
    ],
)
def test_known_rows_say_how_many_epochs_ours_had(
    method: str, own: int | None, error: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({**ROW, "method": method, "run_epochs": own}))
    with pytest.raises(InputError, match=error):
        run(tmp_path / "out", known=(file,))


def test_runs_with_other_epochs_of_ours_have_other_folders(tmp_path: Path) -> None:
    """More seeds may change the mean length. A finished run of the old length must not count as one of the new."""
    (entry,) = plan_of(3, ACCURACY).entries
    folders = {Cell(dataclasses.replace(entry, epochs=n), 0.1, 0).folder(tmp_path) for n in (None, 8, 9)}
    assert len(folders) == 3
