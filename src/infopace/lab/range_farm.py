"""The trials of a range test as jobs: side by side on this machine, or through Slurm."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTestError, layer_groups
from infopace.lab.errors import InputError
from infopace.lab.farm import on_this_machine, through_submitit
from infopace.lab.range_config import RangePlan, RangeTestConfig
from infopace.lab.range_progress import PlainRangeProgress, RangeListener
from infopace.range_test import merge_trials

_SLURM_AT_ONCE = 256  # trials of a wave whose number is open

# `infopace range-test` for one trial, the job of a process.
RunTrial = Callable[[RangeTestConfig, RangeListener], object]


def farm_trials(
    config: RangeTestConfig,
    plan: RangePlan,
    steps: int,
    folder: Path,
    listener: RangeListener,
    run_trial: RunTrial,
) -> None:
    """Run each trial in a process of its own and wait for all. A trial that is finished already takes no time.

    Args:
        config: The command; `run_trial` gets it with `trial` set.
        plan: What it resolves to.
        steps: Optimizer steps of the training run that the test serves.
        folder: Of the test; `jobs` in it takes the logs.
        listener: Hears which trials start.
        run_trial: Runs one trial.

    Raises InputError where submitit or Slurm is missing; RangeTestError of kind "unfinished" where a job failed or was
    killed, once the others beside it have ended.
    """
    cores = config.threads or plan.workload.threads or 1
    on_gpu = plan.device.type == "cuda"
    slots = _gpus(plan.device) if on_gpu else [config.device] * max(1, (os.cpu_count() or 1) // cores)
    at_once = _SLURM_AT_ONCE if config.farm == "slurm" else len(slots)
    logs = folder / "jobs"
    for trials in _waves(plan, steps, folder, at_once):
        listener.note(f"trials {', '.join(map(str, trials))}: one {config.farm} job each, logs in {logs}")
        jobs = [dataclasses.replace(config, farm="no", trial=trial, out=folder) for trial in trials]
        if config.farm == "slurm":
            perform = functools.partial(_perform, run_trial, logs)
            name = f"{plan.workload.name}-range-test"
            ended = through_submitit(jobs, perform, logs, name, gpus=int(on_gpu), cores=cores)
        else:
            logs.mkdir(parents=True, exist_ok=True)
            ended = on_this_machine(jobs, slots, functools.partial(_performer, run_trial, logs))
        lost = [(job.trial, failure) for job, failure in ended if failure is not None]
        # Where all trials are there, the last to end may have found that they give no bounds. Merging says so.
        if lost and _unfinished(folder):
            trial, failure = lost[0]
            raise RangeTestError(
                "unfinished",
                f"{len(lost)} of {len(jobs)} jobs ended without their trials, the first trial {trial}: {failure}; "
                "the same command runs what is missing",
            )


def _gpus(device: torch.device) -> list[str]:
    """Every GPU for 'cuda', the one that is named for 'cuda:1'."""
    if device.index is not None:
        return [str(device)]
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def _performer(run_trial: RunTrial, logs: Path, slot: str) -> Callable[[RangeTestConfig], None]:
    """What runs trials on the device of a slot."""

    def perform(config: RangeTestConfig) -> None:
        _perform(run_trial, logs, dataclasses.replace(config, device=slot))

    return perform


def _perform(run_trial: RunTrial, logs: Path, config: RangeTestConfig) -> None:
    """Run one trial, its progress in a log."""
    with open(logs / f"trial-{config.trial}.log", "w") as log:
        run_trial(config, PlainRangeProgress(functools.partial(print, file=log, flush=True)))


def _waves(plan: RangePlan, steps: int, folder: Path, at_once: int) -> Iterator[list[int]]:
    """Trials that can run side by side: those of the layers need the result of the shared rate.

    Where the trials of the shared rate turn out to be too few, more follow, as many as fit side by side.
    """
    layers: list[dict[str, Any]] = layer_groups(plan.workload.build_model()) if plan.layer_wise else []
    trials, most = plan.method.first_trials(steps), plan.method.all_trials(steps, len(layers))
    yield list(range(trials))
    if layers:
        if most > trials:
            yield list(range(trials, most))
        return
    while trials < most and _unfinished(folder):
        yield list(range(trials, min(trials + at_once, most)))
        trials += at_once


def _unfinished(folder: Path) -> bool:
    """Whether the trials that are there do not yet make a result."""
    try:
        merge_trials(folder)
    except RangeTestError as error:
        return error.kind == "unfinished"
    except ValueError as error:
        raise InputError(str(error)) from error
    return False
