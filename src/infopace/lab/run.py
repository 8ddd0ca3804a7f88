"""`infopace train`: check the settings, find bounds, resume, train, draw the picture, write the summary."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from infopace import Bounds, Policy, RangeTestError
from infopace.lab.batches import held_out_examples, set_aside
from infopace.lab.bounds import RANGE_TEST_FILE, bounds_of_plan, keep_result
from infopace.lab.config import Plan, TrainConfig, resolve
from infopace.lab.environment import commit, hardware, set_determinism, versions
from infopace.lab.errors import Diverged, InputError, NotFinite
from infopace.lab.picture import draw_run
from infopace.lab.progress import Listener
from infopace.lab.range_config import RangePlan
from infopace.lab.resume import check_same_data, check_same_run, recorded_run, take_up
from infopace.lab.run_folder import Row, RunFolder, sound_rows
from infopace.lab.training import Training
from infopace.lab.trial import load_tried
from infopace.lab.workload import Data
from infopace.model import Processes, processes_of
from infopace.scheduler import RollBack

# The share of a run's time that checkpoints may take. Each costs a flush to the disk.
_CHECKPOINT_SHARE = 0.02


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, its picture, and the lines to print."""

    folder: Path
    picture: Path
    lines: tuple[str, ...]


def train(
    config: TrainConfig,
    listener: Listener,
    *,
    picture: bool = True,
    std_error: bool = True,
    policy: Policy | None = None,
    roll_back: bool | RollBack | None = None,
) -> Result:
    """Run `infopace train`. The same config again resumes, and ends with the same numbers bit for bit.

    Without `picture` none is drawn. Without `std_error` information is measured without error bars. That is faster and
    changes no learning rate. A resumed run continues as it began.

    A study may give another `policy` or `roll_back` than those of the config's method. run.json does not record them,
    so give the same again to resume.

    Raises InputError for input that cannot be used, RangeTestError if a range test finds no bounds, Diverged if the
    run diverged.
    """
    plan = resolve(config)
    processes = processes_of()
    folder = RunFolder(plan.folder(), writes=processes.rank == 0)
    with contextlib.ExitStack() as held:
        record, finished = processes.from_first(
            "the run folder", lambda: _opened(plan, folder, held, picture)
        )
        if finished is not None:
            listener.note(
                f"this run is finished; to train again, remove {folder.path} or choose another --out"
            )
            return _result(plan, folder, finished)
        return _train(plan, folder, processes, record, listener, picture, std_error, policy, roll_back)


def _opened(
    plan: Plan, folder: RunFolder, held: contextlib.ExitStack, picture: bool
) -> tuple[dict[str, Any] | None, list[Row] | None]:
    """Hold the folder. Returns the record of a run that is there, and its rows if it is finished."""
    folder.check_free_or_run()
    held.enter_context(folder.locked())
    record = recorded_run(folder)
    if record is None:
        return None, None
    check_same_run(plan, record, folder)
    rows = sound_rows(folder.read_rows())
    summary = folder.read_json("summary.json")
    whole = summary is not None and len(rows) - 1 == summary.get("epochs", plan.epochs)
    return record, rows if whole and (folder.picture.is_file() or not picture) else None


def _train(
    plan: Plan,
    folder: RunFolder,
    processes: Processes,
    record: dict[str, Any] | None,
    listener: Listener,
    picture: bool,
    std_error: bool,
    policy: Policy | None,
    roll_back: bool | RollBack | None,
) -> Result:
    recorded = (record or {}).get("threads")
    threads = plan.config.threads or recorded or plan.workload.threads or torch.get_num_threads()
    if record is not None:
        std_error = record.get("std_error", True)
    set_determinism(threads, plan.device)
    data = _loaded(plan, processes)
    if record is not None:
        check_same_data(data.digest(), record, folder)
    if plan.wants_test:
        if plan.config.held_out:  # before a range test, which may take minutes
            held_out_examples(data.train_targets, plan.config.held_out)
        tested = functools.partial(_tested_bounds, plan, data, folder, listener)
        plan = plan.with_bounds(processes.from_first("the range test", tested))
    try:
        training = Training(plan, data, std_error=std_error, policy=policy, roll_back=roll_back)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from error
    if training.note:
        listener.note(training.note)

    fresh = _record(plan, data, training, threads, std_error)
    if record is None:
        record = fresh
    elif record["versions"] != fresh["versions"]:
        listener.note(
            f"the run was started with {record['versions']} and continues with {fresh['versions']}; the last bits of"
            " its numbers may differ"
        )
    if record.get("processes", 1) != processes.count:
        listener.note(
            f"the run was started on {record.get('processes', 1)} processes and continues on {processes.count}; each"
            " trains on other parts of the batches, so its numbers may differ"
        )
    rows = take_up(folder, plan, training, listener.note, processes)
    begins = not rows
    # Before a file is written, because the workload may still be refused.
    untrained = [_untrained(plan, training)] if begins else []
    if folder.read_json("run.json") != record:
        folder.write_json("run.json", record)
    if begins:
        rows = untrained
        folder.keep_rows(rows)
        _save(folder, training, rows, record)
    listener.started(plan, folder.path, training.n_parameters, rows)
    try:
        _epochs(plan, folder, training, rows, record, listener)
    except InputError:
        if begins and len(rows) == 1:
            folder.discard()
        raise
    _report_rolled_back(rows, listener)

    if picture and folder.writes:
        draw_run(record, rows, folder.picture)
    test = [row["test"] for row in rows[1:]]
    best = plan.workload.metric.best(test)
    summary = {"final": test[-1], "best": test[best], "best_epoch": best + 1, "epochs": len(test)}
    folder.write_json("summary.json", summary)
    return _result(plan, folder, rows)


def _loaded(plan: Plan, processes: Processes) -> Data:
    """The data, loaded by the first process before the others: it may have to download them."""
    loaded: list[Data] = []
    processes.from_first("the data", lambda: loaded.append(load_tried(plan.workload, plan.device)))
    data = loaded[0] if loaded else load_tried(plan.workload, plan.device)
    # Before a range test and before anything is held out, so that nothing but the score depends on them.
    if not plan.config.validation:
        return data
    return set_aside(data, plan.config.validation, plan.workload.probe_size)


def _untrained(plan: Plan, training: Training) -> Row:
    try:
        return training.untrained_row()
    except NotFinite as error:
        raise InputError(f"workload {plan.workload.name!r}: with untrained weights {error}") from error


def _tested_bounds(plan: Plan, data: Data, folder: RunFolder, listener: Listener) -> Bounds:
    """The bounds of a range test, which keeps its trials and its picture in the run's folder."""
    kept = folder.path / "range-test"
    if not (kept / RANGE_TEST_FILE).exists():
        listener.note(
            f"no bounds are given, so a range test runs first, in {kept}; --bounds workload skips it"
        )
    config = plan.config
    test = RangePlan.before_training(
        plan.workload,
        plan.optimizer,
        plan.epochs,
        config.seed,
        plan.device,
        bf16=config.bf16,
        signal=config.signal,
    )
    try:
        found = bounds_of_plan(test, data, kept, on_candidate=listener.candidate)
    except RangeTestError as error:
        hint = "give --lr-min and --lr-max, or --bounds workload"
        raise RangeTestError(
            error.kind, f"the range test before the run finds no bounds: {error}; {hint}"
        ) from error
    keep_result(found, kept, plan.workload.name)
    return found.bounds


def _epochs(
    plan: Plan,
    folder: RunFolder,
    training: Training,
    rows: list[Row],
    record: dict[str, Any],
    listener: Listener,
) -> None:
    saved, cost = time.monotonic(), 0.0
    noted = len(training.steps.found) - training.steps.finding
    for epoch in range(len(rows), plan.epochs + 1):
        if training.steps.finished:
            return
        lrs = ", ".join(f"{lr:g}" for lr in training.steps.lrs())
        try:
            row = training.run_epoch(epoch, listener.batch)
        except NotFinite as error:
            last = folder.checkpoints()
            where = f"last good checkpoint: {last[0]}" if last else "there is no checkpoint yet"
            raise Diverged(
                f"training diverged in epoch {epoch} at learning rate {lrs}: {error}; {where}"
            ) from error
        if row["train_loss"] is None and max(row["lr"]) <= training.steps.lr_min:
            raise Diverged(
                f"training diverged in epoch {epoch} even at learning rate {lrs}, at or below lr_min"
            )
        rows.append(row)
        folder.append_row(row)
        listener.epoch(row)
        if not training.steps.finding:
            for line in training.steps.found[noted:]:
                listener.note(line)
            noted = len(training.steps.found)
        started = time.monotonic()
        if epoch == plan.epochs or training.steps.finished or started - saved >= cost / _CHECKPOINT_SHARE:
            _save(folder, training, rows, record)
            saved = time.monotonic()
            cost = saved - started


def _report_rolled_back(rows: list[Row], listener: Listener) -> None:
    """Note how many epochs were rolled back. A run of which every epoch was has diverged."""
    rolled_back = [row for row in rows[1:] if row["train_loss"] is None and "finding" not in row]
    if not rolled_back:
        return
    last, least = rolled_back[-1]["decisions"][0], min(max(row["lr"]) for row in rolled_back)
    if len(rolled_back) == len(rows) - 1:
        raise Diverged(
            f"training diverged in each of {len(rolled_back)} epochs, down to learning rate {least:g}"
        )
    listener.note(
        f"{len(rolled_back)} of {len(rows) - 1} epochs diverged or collapsed and were rolled back, the last at learning"
        f" rate {last['lr']:.3g}; lr_top and lr_max were too high and were halved each time"
    )


def _save(folder: RunFolder, training: Training, rows: list[Row], record: dict[str, Any]) -> None:
    if not folder.writes:
        return
    epoch = len(rows) - 1
    folder.save_checkpoint(epoch, {"epoch": epoch, "run": record, **training.state()})


def _record(plan: Plan, data: Data, training: Training, threads: int, std_error: bool) -> dict[str, Any]:
    metric = plan.workload.metric
    return {
        "command": {k: v for k, v in vars(plan.config).items() if k != "out"},
        "settings": plan.settings(),
        "fingerprint": plan.fingerprint(),
        "optimizer": None if plan.own_optimizer else plan.optimizer.settings(),
        "threads": threads,
        "processes": training.processes.count,
        "std_error": std_error,
        "seed": plan.config.seed,
        "data": data.digest(),
        "rows": {"train": len(data.train_inputs), "test": len(data.test_inputs)}
        | ({"validation": len(data.validation[1])} if data.validation else {}),
        "held_out_rows": training.n_held_out,
        "parameters": training.n_parameters,
        "groups": training.groups,
        "bounds": None if plan.bounds is None or plan.baseline else dataclasses.asdict(plan.bounds),
        "metric": {
            "name": metric.name,
            "unit": metric.unit,
            "scale": metric.scale,
            "higher_is_better": metric.higher_is_better,
        },
        "versions": versions(),
        "hardware": hardware(plan.device),
        "commit": commit(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _result(plan: Plan, folder: RunFolder, rows: list[Row]) -> Result:
    metric = plan.workload.metric
    test = [row["test"] for row in rows[1:]]
    best = metric.best(test)
    lines = (
        f"test {metric.name} {metric.show(test[-1])} after {len(test)} epoch{'s' * (len(test) > 1)}"
        f" (best {metric.show(test[best])}, epoch {best + 1})",
        f"run folder: {folder.path}",
        f"picture: {folder.picture}",
    )
    return Result(folder.path, folder.picture, lines)
