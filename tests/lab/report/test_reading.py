"""Run folders as they are found: whole, still going, damaged, or something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infopace.lab.errors import InputError
from infopace.lab.report.reading import read_folders

MakeRun = Callable[..., Path]


def names(*folders: Path) -> list[tuple[str, list[int]]]:
    """The methods of the first workload, with their seeds."""
    first = read_folders(folders).experiments[0]
    return [(method.name, [run.seed for run in method.runs]) for method in first.methods]


def test_seeds_of_one_method_come_together(make_run: MakeRun) -> None:
    two, one = make_run("b", seed=2), make_run("a", seed=1)
    layered = make_run("c", seed=1, layers=("fc1", "fc2"))
    assert names(two, layered, one) == [("global", [1, 2]), ("layer-wise", [1])]


def test_methods_that_differ_in_a_setting_say_which(make_run: MakeRun) -> None:
    found = names(
        make_run("a", decay="linear"), make_run("b", decay="none"), make_run("c", layers=("fc1", "fc2"))
    )
    assert found == [("global, decay linear", [0]), ("global, decay none", [0]), ("layer-wise", [0])]


def test_a_baseline_goes_by_its_own_name(make_run: MakeRun) -> None:
    assert names(make_run(method="Adam")) == [("Adam", [0])]


def test_workloads_stay_apart(make_run: MakeRun) -> None:
    found = read_folders([make_run("a"), make_run("b", workload="other")])
    assert [e.workload for e in found.experiments] == ["tiny", "other"]


def test_a_folder_named_twice_counts_once(make_run: MakeRun) -> None:
    run = make_run()
    assert names(run, run.parent / "run" / ".." / "run") == [("global", [0])]


@pytest.mark.parametrize("done", [-1, 0, 3])
def test_a_run_still_going_is_read_as_far_as_it_is(make_run: MakeRun, done: int) -> None:
    folder = make_run(done=done, finished=False)
    with open(folder / "epochs.jsonl", "a") as rows:
        rows.write('{"epoch": ')  # the line that is just being written
    run = read_folders([folder]).experiments[0].methods[0].runs[0]
    assert not run.finished
    assert len(run.trained) == max(done, 0)


def test_folders_that_are_no_runs(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("runs/one") if (tmp_path / "runs").mkdir() is None else tmp_path
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    cases = {
        (): "report needs at least one run folder, got none",
        (tmp_path / "nowhere",): f"no folder {tmp_path}/nowhere",
        (run / "run.json",): f"a run folder is needed, got the file {run}/run.json",
        (empty,): f"{empty} must hold a run, and is empty",
        (
            other,
            empty,
        ): f"{other} must hold a run, and has no readable run.json; {empty} must hold a run, and is empty",
        (run.parent,): f"{run.parent} must hold a run, and has no readable run.json;"
        f" for the runs inside it, name them: {run.parent}/*",
    }
    for folders, message in cases.items():
        with pytest.raises(InputError) as error:
            read_folders(folders)
        assert str(error.value) == message


def test_good_folders_are_read_and_the_others_named(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "run.json").write_bytes(b"")
    damaged = make_run("damaged")
    change(damaged, "run.json", lambda content: content.pop("settings"))
    listed = [
        tmp_path / "empty",
        make_run("good", seed=7),
        damaged,
        tmp_path / "killed",
        tmp_path / "nowhere",
    ]
    found = read_folders(listed)
    assert [method.runs[0].seed for method in found.experiments[0].methods] == [7]
    assert [line.partition(" holds")[0] for line in found.refused] == [
        f"{tmp_path}/empty must hold a run, and is empty",
        f"{damaged}",
        f"{tmp_path}/killed must hold a run, and has no readable run.json",
        f"no folder {tmp_path}/nowhere",
    ]


def change(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change the content of a JSON file, or of the last line of a JSON lines file."""
    *before, last = (folder / name).read_text().splitlines(keepends=True)
    content = json.loads(last)
    change(content)
    (folder / name).write_text("".join([*before, json.dumps(content) + "\n"]))


DAMAGE: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "no settings": ("run.json", lambda c: c.pop("settings"), "lacks 'settings'"),
    "no seed": ("run.json", lambda c: c["settings"].pop("seed"), "lacks 'seed'"),
    "epochs": ("run.json", lambda c: c["settings"].update(epochs="many"), "invalid literal"),
    "no epochs": ("run.json", lambda c: c["settings"].update(epochs=0), "must have epochs >= 1"),
    "bounds": ("run.json", lambda c: c.update(bounds={}), "lacks 'lr_min'"),
    "lr_min": ("run.json", lambda c: c["bounds"].update(lr_min=0), "must have lr_min > 0, and has 0.0"),
    "metric": ("run.json", lambda c: c.update(metric=None), "'NoneType' object is not subscriptable"),
    "groups": ("run.json", lambda c: c.update(groups=["a", "b"]), "a learning rate for each group"),
    "no test": ("epochs.jsonl", lambda c: c.pop("test"), "lacks 'test'"),
    "nan": ("epochs.jsonl", lambda c: c.update(test=float("nan")), "must hold finite numbers"),
    "text": ("epochs.jsonl", lambda c: c.update(lr=["high"]), "must hold finite numbers"),
    "zero lr": ("epochs.jsonl", lambda c: c.update(lr=[0.0]), "must have learning rates > 0"),
    "layer gone": ("epochs.jsonl", lambda c: c["information"].pop("output"), "lacks 'output'"),
    "decision": ("epochs.jsonl", lambda c: c["decisions"][0].pop("reason"), "lacks 'reason'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_named_in_one_line(make_run: MakeRun, damage: str) -> None:
    name, breaking, says = DAMAGE[damage]
    folder = make_run()
    change(folder, name, breaking)
    with pytest.raises(InputError) as error:
        read_folders([folder])
    message = str(error.value)
    assert message.startswith(f"{folder} holds no run of infopace train: ") and says in message
    assert "\n" not in message


def test_rows_without_information_are_a_baselines(make_run: MakeRun) -> None:
    folder = make_run(method="Adam")
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    kept = ("epoch", "lr", "test", "seconds")
    (folder / "epochs.jsonl").write_text(
        "".join(json.dumps({k: row[k] for k in kept}) + "\n" for row in lines)
    )
    run = read_folders([folder]).experiments[0].methods[0].runs[0]
    assert run.layers == () and len(run.test) == 8
