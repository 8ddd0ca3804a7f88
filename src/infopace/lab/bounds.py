"""The bounds of a workload's learning rate, from a range test of its own, and the files that keep them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from infopace import Bounds, Probe, RangeTest, RangeTestError, find_bounds
from infopace.lab.batches import Batches, caster
from infopace.lab.config import measured, signal_of
from infopace.lab.errors import InputError
from infopace.lab.files import held_for_a_write, write_atomically, writing
from infopace.lab.identity import identity_of
from infopace.lab.range_config import RangePlan
from infopace.lab.run_folder import RunFolder
from infopace.lab.workload import Data
from infopace.probe import Measuring
from infopace.range_test import Candidate

RANGE_TEST_FILE = "range-test.json"
Listener = Callable[[int, Candidate], None]


def bounds_of_plan(
    plan: RangePlan,
    data: Data,
    folder: Path,
    *,
    only: Collection[int] | None = None,
    on_candidate: Listener | None = None,
) -> RangeTest:
    """Run the range test of a plan, with its trials in `folder`; finished ones are only read.

    Raises InputError for a folder with another test, RangeTestError where the test gives no answer.
    """
    workload = plan.workload
    identity = {
        "workload": workload.name,
        "device": plan.device.type,
        **identity_of(workload, data, plan.optimizer),
        **measured(plan.signal, None),
    }
    data = data.to(plan.device)
    cast = caster(workload)
    n = min(workload.probe_size, len(data.train_targets))
    try:
        sample = Probe.sample(data.train_set(), n=n, seed=plan.seed)
        probe = Probe(cast(sample.inputs), sample.targets)
        measuring = Measuring(
            layers="all" if plan.layer_wise else "output",
            signal=signal_of(plan.signal, probe),
            reference=workload.reference,
        )
    except (ValueError, TypeError) as error:  # of the workload's data
        raise InputError(str(error)) from error

    def build() -> torch.nn.Module:
        model = workload.build_model().to(plan.device)
        if workload.channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return model

    model = build()
    optimizer = plan.optimizer.build(model, 1.0, layer_wise=plan.layer_wise)
    batches = Batches(data.train_inputs, data.train_targets, workload)
    try:
        return find_bounds(
            model,
            optimizer,
            workload.task.loss,
            batches,
            probe,
            epochs=plan.epochs,
            fresh=build,
            method=plan.method,
            attribute=plan.attribute,
            layer_wise=plan.layer_wise,
            precision=torch.bfloat16 if plan.bf16 else None,
            seed=plan.seed,
            folder=folder,
            identity=identity,
            only=only,
            on_candidate=on_candidate,
            measuring=measuring,
        )
    except RangeTestError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def keep_result(found: RangeTest, folder: Path, workload: str) -> Path:
    """Write range-test.json, which `infopace report` reads, and the picture; returns the picture's path."""
    content = {
        "workload": workload,
        "method": found.method,
        "attribute": found.attribute,
        "bounds": _bounds(found.bounds),
        "layer_bounds": {layer: _bounds(own) for layer, own in found.layer_bounds.items()},
        "trial_bounds": [None if own is None else _bounds(own) for own in found.trial_bounds],
        "spread_decades": {name: _number(value) for name, value in found.spread.items()},
        "steps": found.steps,
        "share_of_the_training": found.cost,
        "seconds": found.seconds,
        "notes": list(found.notes),
        "table": _table(found),
        "crashes": _crashes(found),
    }
    picture = folder / "picture.png"
    with held_for_a_write(folder):
        write_atomically(folder / RANGE_TEST_FILE, as_json(content))
        with writing(picture):
            return found.plot(picture)


def workload_of(folder: Path) -> str:
    """The workload of a test's folder; of a test that no command made, which has no run.json, the folder's name."""
    settings = (RunFolder(folder).read_json("run.json") or {}).get("settings")
    name = settings.get("workload") if isinstance(settings, dict) else None
    return name if isinstance(name, str) and name else folder.resolve().name


def _bounds(bounds: Bounds) -> dict[str, float]:
    return dataclasses.asdict(bounds)


def _table(found: RangeTest) -> list[dict[str, Any]]:
    """The rows, each with the smallest and the largest final values of the trials behind its means."""
    rows = []
    for row in found.table:
        last = [c.last for trial in found.shared_trials for c in trial.completed if c.lr == row.lr]
        values = {
            "final_loss": [end.loss for end in last],
            "final_accuracy": [end.accuracy for end in last if end.accuracy is not None],
            "final_information": [end.information["output"] for end in last],
        }
        rows.append(
            {name: _number(value) for name, value in vars(row).items()}
            | {"range": {name: [min(some), max(some)] for name, some in values.items() if some}}
        )
    return rows


def _crashes(found: RangeTest) -> list[dict[str, Any]]:
    """How many trials crashed at a rate: the table has no row of one that none completed."""
    counts = Counter(c.lr for trial in found.shared_trials for c in trial.crashed)
    return [{"lr": lr, "trials": count} for lr, count in sorted(counts.items())]


def as_json(content: dict[str, Any]) -> bytes:
    """A file's content."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
