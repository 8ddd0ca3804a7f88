"""`infopace range-test`, from a command line to bounds, a table and a picture in a folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTest, RangeTestError
from infopace.lab.batches import Batches
from infopace.lab.bounds import as_json, bounds_of_plan, keep_result, workload_of
from infopace.lab.environment import commit, hardware, set_determinism, versions
from infopace.lab.errors import InputError
from infopace.lab.files import held_for_a_write, names_in, write_atomically, writing
from infopace.lab.identity import differing, identity_of
from infopace.lab.range_config import RangePlan, RangeTestConfig, check_options, resolve_range
from infopace.lab.range_farm import farm_trials
from infopace.lab.range_progress import RangeListener, row_lines
from infopace.lab.run_folder import RunFolder
from infopace.lab.trial import load_tried
from infopace.lab.workload import Data
from infopace.range_test import merge_trials

# What a folder may hold before the test begins. `jobs` has the logs of --farm.
RECORD = "run.json"
_BEFORE_THE_TEST = {RECORD, "jobs", ".lock"}


def run_range_test(config: RangeTestConfig, listener: RangeListener) -> list[str]:
    """Run the command and return the last lines to print. The same command again resumes.

    Raises InputError for input that cannot be used, RangeTestError where the test gives no answer.
    """
    check_options(config)
    if config.merge is not None:
        return _merged(config.merge, workload_of(config.merge))
    plan = resolve_range(config)
    folder = plan.folder(config.out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder of a range test must be a folder, got the file {folder}")
    if names_in(folder) - _BEFORE_THE_TEST and not (folder / "test.json").exists():
        raise InputError(
            f"the folder of a range test must be new, empty or hold one, not {folder}; choose another --out"
        )
    if config.farm == "no":
        set_determinism(config.threads or plan.workload.threads or torch.get_num_threads(), plan.device)
    data = load_tried(plan.workload, plan.device)
    record = _record(config, plan, data)
    begun = _check_same_test(record["settings"], folder)
    if config.farm != "no":
        steps = plan.epochs * len(Batches(data.train_inputs, data.train_targets, plan.workload))
        farm_trials(config, plan, steps, folder, listener, run_range_test)
        return _merged(folder, plan.workload.name)
    listener.started(plan, folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not begun:
        with held_for_a_write(folder):
            write_atomically(folder / RECORD, as_json(record))
    try:
        found = bounds_of_plan(
            plan,
            data,
            folder,
            only=None if config.trial is None else [config.trial],
            on_candidate=listener.candidate,
        )
    except InputError as error:
        if not begun:
            (folder / RECORD).unlink(missing_ok=True)
        _remove_if_nothing_ran(made)
        # `only` of the library is --trial here.
        raise InputError(str(error).replace("only must hold trials in", "trial must be in")) from error
    except RangeTestError as error:
        if error.kind == "unfinished" and config.trial is not None:
            return [
                f"trial {config.trial} is finished; {error}",
                f"sum up: infopace range-test --merge {folder}",
            ]
        raise
    return _result(found, folder, plan.workload.name)


def _check_same_test(asked: dict[str, Any], folder: Path) -> bool:
    """Whether the folder records this test. Raises InputError where it records another."""
    record = RunFolder(folder).read_json(RECORD)
    if record is None and not (folder / RECORD).exists():
        return False
    there = record.get("settings") if record is not None else None
    if not isinstance(there, dict):
        raise InputError(
            f"{folder / RECORD} must be the record of a range test; remove it and give the same command again"
        )
    if differences := differing(asked, there):
        raise InputError(f"the folder {folder} holds another range test: {differences}; choose another --out")
    return True


def _merged(folder: Path, workload: str) -> list[str]:
    try:
        return _result(merge_trials(folder), folder, workload)
    except ValueError as error:
        raise InputError(str(error)) from error


def _remove_if_nothing_ran(made: list[Path]) -> None:
    """Leave no folder of a test that was refused before it began."""
    if not made or names_in(made[0]) - _BEFORE_THE_TEST:
        return
    with contextlib.suppress(OSError):  # a parent folder that holds other things by now stays
        for file in made[0].iterdir():
            file.unlink()
        for folder in made:
            folder.rmdir()


def _result(found: RangeTest, folder: Path, workload: str) -> list[str]:
    picture = keep_result(found, folder, workload)
    return [*row_lines(found), *str(found).splitlines(), f"folder: {folder}", f"picture: {picture}"]


def _record(config: RangeTestConfig, plan: RangePlan, data: Data) -> dict[str, Any]:
    command = {
        name: value for name, value in vars(config).items() if name not in ("out", "merge", "trial", "farm")
    }
    return {
        "command": command,
        "settings": {**plan.settings(), **identity_of(plan.workload, data, plan.optimizer)},
        "versions": versions(),
        "hardware": hardware(plan.device),
        "commit": commit(),
    }
