"""Trials as jobs: one process a trial, on this machine or through Slurm, with submitit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTestError, layer_groups
from infopace.lab.errors import InputError
from infopace.lab.range_config import RangePlan, RangeTestConfig
from infopace.lab.range_progress import RangeListener
from infopace.range_test import merge_trials

_MINUTES = 24 * 60


def farm_trials(
    config: RangeTestConfig,
    plan: RangePlan,
    steps: int,
    folder: Path,
    listener: RangeListener,
    run_trial: Callable[[RangeTestConfig, int], None],
) -> None:
    """Start a job for each trial, `run_trial(config, slot)`, and wait for all.

    `steps` are those of the run that the test serves.

    A job whose trial is finished ends at once.

    Raises InputError where submitit or Slurm is missing; RangeTestError of kind "unfinished" where a job failed or was
    killed, once the others beside it have ended.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError("--farm needs submitit: pip install 'infopace[slurm]'") from error
    try:
        executor = submitit.AutoExecutor(folder / "jobs", cluster=config.farm)
    except RuntimeError as error:
        raise InputError(
            f"--farm {config.farm} cannot start jobs here: {' '.join(str(error).split())}"
        ) from error
    gpus = 1 if plan.device.type == "cuda" else 0
    cores = config.threads or plan.workload.threads or 1
    executor.update_parameters(
        timeout_min=_MINUTES, gpus_per_node=gpus, cpus_per_task=cores, name=f"{plan.workload.name}-range-test"
    )
    at_once = max(1, (torch.cuda.device_count() if gpus else (os.cpu_count() or 1) // cores))
    if config.farm == "slurm":
        executor.update_parameters(slurm_array_parallelism=256)
        at_once = 256
    for wave in _waves(plan, steps, folder, at_once):
        for start in range(0, len(wave), at_once):
            trials = wave[start : start + at_once]
            listener.note(
                f"trials {', '.join(map(str, trials))}: one {config.farm} job each, logs in {folder / 'jobs'}"
            )
            jobs = {
                trial: executor.submit(
                    run_trial, dataclasses.replace(config, farm="no", trial=trial, out=folder), slot
                )
                for slot, trial in enumerate(trials)
            }
            # To ask for the exception waits for the job's end. One whose process was killed has one, too.
            lost = {trial: job for trial, job in jobs.items() if job.exception() is not None}
            if lost:
                trial, job = next(iter(lost.items()))
                raise RangeTestError(
                    "unfinished",
                    f"{len(lost)} of {len(jobs)} jobs ended without their trials, the first trial {trial}: see "
                    f"{job.paths.stderr}; the same command runs what is missing",
                )


def _waves(plan: RangePlan, steps: int, folder: Path, at_once: int) -> Iterator[list[int]]:
    """Trials that can run side by side: those of the layers need those of the shared rate.

    Where the shared rate's trials turn out to be too few, more follow, as many as fit side by side.
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
