"""Runs at constant learning rates; see README.md. Rows: results/constant_lr_grid.jsonl"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
from pathlib import Path

from infopace import Bounds
from infopace.lab.config import OURS, TrainConfig, resolve
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.errors import NotFinite
from infopace.lab.training import Training

RESULTS = Path(__file__).resolve().parents[2] / "results" / "constant_lr_grid.jsonl"
GRID = [float(f"{m}e{e}") for e in (-6, -5, -4, -3, -2, -1) for m in (1, 3)]


def main() -> None:
    """Run the grid and append its rows."""
    parser = argparse.ArgumentParser(description="Constant learning rates")
    parser.add_argument("workload")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--lrs", type=float, nargs="+", default=GRID)
    arguments = parser.parse_args()
    shown = ("lr", "seed", "final", "best", "best_epoch", "diverged")
    RESULTS.parent.mkdir(exist_ok=True)
    for lr, seed in itertools.product(arguments.lrs, arguments.seeds):
        row = run(arguments.workload, lr, arguments.epochs, seed)
        print({name: row[name] for name in shown}, flush=True)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def run(workload: str, lr: float, epochs: int, seed: int) -> dict[str, object]:
    """Train at one learning rate."""
    plan = resolve(
        TrainConfig(workload=workload, method=OURS, epochs=epochs, held_out=0.0, seed=seed, threads=1)
    )
    plan = dataclasses.replace(plan, bounds=Bounds(lr, lr))
    set_determinism(1, plan.device)
    training = Training(plan, plan.workload.load())
    test: list[float] = []
    with contextlib.suppress(NotFinite):
        for epoch in range(1, epochs + 1):
            training.train_epoch(epoch, lambda done, total: None)
            test.append(training.evaluate()["test"])
    best = plan.workload.metric.best(test) if test else None
    return {
        "workload": workload,
        "lr": lr,
        "seed": seed,
        "epochs": epochs,
        "metric": plan.workload.metric.name,
        "final": test[-1] if len(test) == epochs else None,
        "best": None if best is None else test[best],
        "best_epoch": None if best is None else best + 1,
        "diverged": len(test) < epochs,
        "versions": versions(),
        "hardware": hardware(plan.device),
    }


if __name__ == "__main__":
    main()
