"""The bounds of a workload's learning rate, from a range test of its own, and the files that keep them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from infopace import Probe, RangeTest, RangeTestError, layer_groups, range_test
from infopace.lab.batches import Batches, caster
from infopace.lab.errors import InputError
from infopace.lab.files import write_atomically
from infopace.lab.range_config import RangePlan
from infopace.lab.workload import Data
from infopace.range_test import Candidate

Listener = Callable[[int, Candidate], None]


def find_bounds(
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
    data = data.to(plan.device)
    cast = caster(workload)
    sample = Probe.sample(data.train_set(), n=workload.probe_size, seed=plan.seed)
    layers = "all" if plan.layer_wise else "output"
    probe = Probe(cast(sample.inputs), sample.targets, layers=layers, reference=sample.reference)

    def build() -> torch.nn.Module:
        model = workload.build_model().to(plan.device)
        if workload.channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return model

    model = build()
    optimizer = torch.optim.SGD(
        layer_groups(model) if plan.layer_wise else model.parameters(),
        lr=1.0,
        momentum=workload.momentum,
        nesterov=workload.nesterov,
        weight_decay=workload.weight_decay,
    )
    batches = Batches(data.train_inputs, data.train_targets, workload)
    try:
        return range_test(
            model,
            optimizer,
            workload.loss,
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
            only=only,
            on_candidate=on_candidate,
        )
    except RangeTestError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def keep_result(found: RangeTest, folder: Path) -> Path:
    """Write bounds.json, table.jsonl and the picture; returns the picture's path."""
    bounds = {
        "bounds": _bounds(found.bounds),
        "layer_bounds": {layer: _bounds(own) for layer, own in found.layer_bounds.items()},
        "trial_bounds": [None if own is None else _bounds(own) for own in found.trial_bounds],
        "spread_decades": {name: _number(value) for name, value in found.spread.items()},
        "method": found.method,
        "attribute": found.attribute,
        "steps": found.steps,
        "share_of_the_training": found.cost,
        "seconds": found.seconds,
        "notes": list(found.notes),
    }
    write_atomically(folder / "bounds.json", as_json(bounds))
    rows = [json.dumps({name: _number(value) for name, value in vars(row).items()}) for row in found.table]
    write_atomically(folder / "table.jsonl", "".join(f"{row}\n" for row in rows).encode())
    return found.plot(folder / "picture.png")


def _bounds(bounds: Any) -> dict[str, float]:
    return {**dataclasses.asdict(bounds), "lr_top": bounds.first}


def as_json(content: dict[str, Any]) -> bytes:
    """A file's content."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
