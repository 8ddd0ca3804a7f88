"""The end of a run at a given rate under several shapes of hold and decay. Rows: results/decay_shapes.jsonl.

Warm-up takes 5 % of the steps. Nothing is measured, and a tenth of the training examples is for validation.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable

import torch

from infopace.lab.batches import caster, drawn_batches, set_aside
from infopace.lab.evaluation import values
from infopace.lab.lazy_images import in_turn
from infopace.lab.optimizers import find_recipe
from infopace.lab.workloads import find_workload
from studies.shared.rows import RESULTS, read

ROWS = RESULTS / "decay_shapes.jsonl"
WARMUP = 0.05
DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda over: 1 - over,
    "cos": lambda over: 0.5 * (1 + math.cos(math.pi * over)),
    "square": lambda over: (1 - over) ** 2,
}
SHAPES = (
    (0.5, "linear"),
    (0.5, "cos"),
    (0.5, "square"),
    (0.2, "linear"),
    (0.05, "linear"),
    (0.05, "cos"),
    (0.2, "square"),
)
CASES = (
    ("california-housing", "adamw", 0, 0.006, 60),
    ("california-housing", "adamw", 1, 0.006, 60),
    ("deep-mlp", "adamw", 0, 0.01, 40),
    ("tinyshakespeare", "adamw", 0, 0.008, 20),
    ("deep-mlp", "sgd", 0, 0.1, 40),
    ("clinc150", "adamw", 0, 0.01, 10),
)
Case = tuple[str, str, int, float, int]


def main() -> None:
    """Make the rows that are missing."""
    torch.set_num_threads(1)
    done = [(row["case"], row["hold"], row["decay"]) for row in read(ROWS)]
    for case in CASES:
        for hold, decay in SHAPES:
            if (list(case), hold, decay) not in done:
                row = {"case": list(case), "hold": hold, "decay": decay, **trained(case, hold, decay)}
                with open(ROWS, "a") as file:
                    file.write(json.dumps(row) + "\n")


def trained(case: Case, hold: float, decay: str) -> dict[str, float]:
    """Final test and validation values."""
    name, optimizer_name, seed, lr, epochs = case
    workload = find_workload(name)
    data, cast = set_aside(workload.load(), 0.1, workload.probe_size), caster(workload)
    torch.manual_seed(seed)
    model = workload.build_model()
    if workload.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    draws = torch.Generator().manual_seed(seed + 9)
    steps = len(drawn_batches(workload, len(data.train_targets), draws)) * epochs
    optimizer = find_recipe(optimizer_name, workload.optimizer).build(model, lr)
    done = 0
    model.train()
    while done < steps:
        batches = drawn_batches(workload, len(data.train_targets), draws)
        for batch, inputs in zip(batches, in_turn(data.train_inputs, batches), strict=True):
            if workload.augment is not None:
                inputs = workload.augment(inputs, draws)
            over = max(done / steps - hold, 0.0) / (1 - hold)
            for group in optimizer.param_groups:
                group["lr"] = lr * min((done + 1) / (WARMUP * steps), 1.0) * DECAYS[decay](over)
            optimizer.zero_grad()
            workload.task.loss(model(cast(inputs)), data.train_targets[batch]).backward()
            optimizer.step()
            done += 1
    found = values(model, data, workload.metric, cast, contextlib.nullcontext)
    return {part: round(value, 4) for part, value in found.items()}


if __name__ == "__main__":
    main()
