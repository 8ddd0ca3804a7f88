"""`infopace range-test`, from a command line to bounds, a table and a picture in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTest, RangeTestError, merge_trials
from infopace.lab.batches import spans
from infopace.lab.bounds import as_json, find_bounds, keep_result, workload_of
from infopace.lab.environment import commit, hardware, versions
from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.range_config import RangePlan, RangeTestConfig, check_options, resolve_range
from infopace.lab.range_farm import farm_trials
from infopace.lab.range_progress import PlainRangeProgress, RangeListener, row_lines
from infopace.lab.training import set_determinism
from infopace.lab.trial import load_tried

# What a folder may hold of a test that has not begun: jobs are started from there.
_BEFORE_THE_TEST = {"run.json", "jobs", ".lock"}


def run_range_test(config: RangeTestConfig, listener: RangeListener) -> list[str]:
    """Run the command; the lines to end with. The same command again resumes.

    Raises InputError for input that cannot be used, RangeTestError where the test gives no answer.
    """
    check_options(config)
    if config.merge is not None:
        try:
            return _result(merge_trials(config.merge), config.merge, workload_of(config.merge))
        except ValueError as error:
            raise InputError(str(error)) from error
    plan = resolve_range(config)
    folder = plan.folder(config.out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder of a range test must be a folder, got the file {folder}")
    strange = {path.name for path in folder.iterdir()} - _BEFORE_THE_TEST if folder.is_dir() else set()
    if strange and not (folder / "test.json").exists():
        raise InputError(
            f"the folder of a range test must be new, empty or hold one, not {folder}; choose another --out"
        )
    if config.farm != "no":
        data = load_tried(plan.workload, plan.device)
        steps = plan.epochs * len(spans(len(data.train_targets), plan.workload.batch_size))
        farm_trials(config, plan, steps, folder, listener, run_trial)
        return _result(merge_trials(folder), folder, plan.workload.name)
    set_determinism(config.threads or plan.workload.threads or torch.get_num_threads(), plan.device)
    data = load_tried(plan.workload, plan.device)
    listener.started(plan, folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "run.json", as_json(_record(config, plan)))
    try:
        found = find_bounds(
            plan,
            data,
            folder,
            only=None if config.trial is None else [config.trial],
            on_candidate=listener.candidate,
        )
    except InputError as error:
        _remove_if_nothing_ran(made)
        # What the library calls only is --trial here.
        raise InputError(str(error).replace("only must hold trials in", "trial must be in")) from error
    except RangeTestError as error:
        if error.kind == "unfinished" and config.trial is not None:
            return [
                f"trial {config.trial} is finished; {error}",
                f"sum up: infopace range-test --merge {folder}",
            ]
        raise
    return _result(found, folder, plan.workload.name)


def _remove_if_nothing_ran(made: list[Path]) -> None:
    """A test that was refused before it began leaves no folder behind."""
    if not made or {path.name for path in made[0].iterdir()} - _BEFORE_THE_TEST:
        return
    with contextlib.suppress(OSError):  # a parent that has other things in it by now stays
        for file in made[0].iterdir():
            file.unlink()
        for folder in made:
            folder.rmdir()


def run_trial(config: RangeTestConfig, slot: int) -> None:
    """What a job does: its one trial, on the GPU of its slot where several are on one machine."""
    if config.device == "cuda" and torch.cuda.device_count() > 1:
        config = dataclasses.replace(config, device=f"cuda:{slot % torch.cuda.device_count()}")
    run_range_test(config, PlainRangeProgress())


def _result(found: RangeTest, folder: Path, workload: str) -> list[str]:
    picture = keep_result(found, folder, workload)
    return [*row_lines(found), *str(found).splitlines(), f"folder: {folder}", f"picture: {picture}"]


def _record(config: RangeTestConfig, plan: RangePlan) -> dict[str, Any]:
    command = {
        name: value for name, value in vars(config).items() if name not in ("out", "merge", "trial", "farm")
    }
    return {
        "command": command,
        "settings": plan.settings(),
        "versions": versions(),
        "hardware": hardware(plan.device),
        "commit": commit(),
    }
