"""Six kinds of targets, three optimizers, each with bounds of a range test; see README.md.

Rows: results/kinds_and_optimizers.jsonl
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from infopace import RangeTestError
from infopace.lab.bounds import bounds_of_plan
from infopace.lab.config import OURS, Plan, TrainConfig, resolve
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.errors import NotFinite
from infopace.lab.farm import on_this_machine
from infopace.lab.files import write_atomically
from infopace.lab.range_config import BEFORE_TRAINING, RangePlan
from infopace.lab.steps import PacedSteps
from infopace.lab.training import Training
from infopace.lab.workload import Data
from studies.shared.rows import RESULTS, Setting, read

# The kind of target, the workload, and the epochs of a run of half a minute.
KINDS = {
    "10 classes": ("digits", 20),
    "150 classes": ("clinc150", 6),
    "tokens": ("tinyshakespeare", 20),
    "several labels": ("two-digits", 12),
    "numbers": ("california-housing", 12),
    "pixels": ("digit-pixels", 8),
}
OPTIMIZERS = ("sgd", "adamw", "muon")
NAME, SEED, EVERY = "kinds_and_optimizers", 7_000, 40


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Kinds of targets and optimizers")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--horizons", nargs="+", default=["free", "known"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--scratch", type=Path, default=Path("runs") / NAME)
    arguments = parser.parse_args()
    done = [row["setting"] for row in read(RESULTS / f"{NAME}.jsonl")]
    settings = [
        {"kind": kind, "optimizer": optimizer, "horizon": horizon, "seed": SEED}
        for horizon, optimizer, kind in itertools.product(arguments.horizons, OPTIMIZERS, arguments.kinds)
    ]
    missing = [setting for setting in settings if setting not in done]
    prepare = functools.partial(performer, arguments.scratch)
    for setting, failure in on_this_machine(missing, ["cpu"] * arguments.jobs, prepare):
        if failure is not None:
            print(f"{setting}: not run: {failure}", flush=True)
            continue
        row = json.loads(_file(arguments.scratch, setting).read_text())
        with open(RESULTS / f"{NAME}.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{setting}: {row['failure'] or row['test'][-1]}", flush=True)


def performer(scratch: Path, slot: str) -> Callable[[Setting], None]:
    """What runs one cell in a process of its own."""
    return functools.partial(_perform, scratch)


def _perform(scratch: Path, setting: Setting) -> None:
    row = {"setting": setting, **run(setting, scratch)}
    row |= {"versions": versions(), "hardware": hardware(torch.device("cpu"))}
    write_atomically(_file(scratch, setting), json.dumps(row).encode())


def _file(scratch: Path, setting: Setting) -> Path:
    return scratch / f"{'-'.join(str(value).replace(' ', '-') for value in setting.values())}.json"


def run(setting: Setting, scratch: Path) -> dict[str, Any]:
    """One run, to the last epoch of its budget or until the rule ends it; or why there is none."""
    set_determinism(1, torch.device("cpu"))
    workload, epochs = KINDS[setting["kind"]]
    config = TrainConfig(
        workload,
        method=OURS,
        optimizer=setting["optimizer"],
        horizon=setting["horizon"],
        every=str(EVERY),
        epochs=epochs,
        seed=setting["seed"],
        threads=1,
    )
    plan = resolve(config)
    data = plan.workload.load()
    facts: dict[str, Any] = {
        "workload": workload,
        "metric": plan.workload.metric.name,
        "epochs_at_most": epochs,
        "without_inputs": plan.workload.task.without_inputs(data.train_targets, data.test_targets),
        "failure": "",
        "test": [],
    }
    folder = scratch / f"range-test-{workload}-{setting['optimizer']}"
    test = RangePlan(
        plan.workload, plan.optimizer, epochs, BEFORE_TRAINING, "auto", False, SEED, plan.device, False
    )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = bounds_of_plan(test, data, folder)
    except RangeTestError as error:
        return {**facts, "failure": f"the range test finds no bounds: {error}"}
    facts |= {"bounds": vars(found.bounds), "range_test_epochs": found.cost * epochs}
    return {**facts, **_trained(plan.with_bounds(found.bounds), data)}


def _trained(plan: Plan, data: Data) -> dict[str, Any]:
    began = time.process_time()
    training = Training(plan, data, std_error=False)
    steps = training.steps
    assert isinstance(steps, PacedSteps), "a paced run"
    rows, failure = [training.untrained_row()], ""
    try:
        while len(rows) <= plan.epochs and not steps.finished:
            rows.append(training.run_epoch(len(rows), lambda done, total: None))
    except NotFinite as error:
        failure = f"diverged in epoch {len(rows)}: {error}"
    scheduler = steps.scheduler
    decisions = [taken[0] for taken in scheduler.decisions]
    return {
        "failure": failure,
        "untrained": rows[0]["test"],
        "test": [row["test"] for row in rows[1:]],
        "train_loss": [row["train_loss"] for row in rows[1:]],
        "signal": steps.measured().output.estimate.choice,
        "unit": scheduler.unit,
        "nats": [value if math.isfinite(value) else None for value in scheduler.history["output"]],
        "held_out": scheduler.held_out_history.get("output", []),
        "lr": [decision.lr for decision in decisions],
        "phases": [decision.phase for decision in decisions],
        "reasons": [decision.reason for decision in decisions],
        "rolled_back": scheduler.rolled_back,
        "explained": scheduler.explain().splitlines(),
        "note": training.note,
        "processor_seconds": time.process_time() - began,
    }


if __name__ == "__main__":
    main()
