"""The default rule driven by the neighbour estimate or by usable information; see README.md.

Rows: results/usable_information.jsonl
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any

from infopace.lab.config import OURS, TrainConfig, resolve
from infopace.lab.environment import set_determinism
from infopace.lab.training import Training
from studies.shared.rows import Setting, make_missing, tested_bounds

WORKLOADS = (
    "digits",
    "mnist-mlp",
    "deep-mlp",
    "mnist-1k",
    "noisy-mlp",
    "flipped",
    "turned",
    "uci-temperature",
)
SIGNALS = ("neighbours", "usable")


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="The default rule, driven by two signals")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6000, 6005)))
    arguments = parser.parse_args()
    settings = [
        {"workload": workload, "signal": signal, "seed": seed}
        for workload, seed, signal in itertools.product(arguments.workloads, arguments.seeds, SIGNALS)
    ]
    make_missing("usable_information", settings, run)


def run(setting: Setting) -> dict[str, Any]:
    """One run, to its last planned epoch or until the rule ends it."""
    bounds = tested_bounds(setting["workload"])
    plan = resolve(
        TrainConfig(
            setting["workload"],
            method=OURS,
            signal=setting["signal"],
            seed=setting["seed"],
            threads=1,
            lr_min=bounds.lr_min,
            lr_max=bounds.lr_max,
            lr_top=bounds.lr_top,
            epsilon=bounds.epsilon,
        )
    )
    set_determinism(1, plan.device)
    began = time.process_time()
    training = Training(plan, plan.workload.load(), std_error=False)
    rows: list[dict[str, Any]] = []
    traces: dict[str, list[float]] = {"neighbours": [], "usable": []}
    while len(rows) < plan.epochs and not training.steps.finished:
        rows.append(training.run_epoch(len(rows) + 1, lambda done, total: None))
        output = training.steps.measured().output  # pyright: ignore[reportAttributeAccessIssue]
        for name, found in (("neighbours", output.neighbours), ("usable", output.usable)):
            if found is not None:
                traces[name].append(found.nats)
    return {
        "metric": plan.workload.metric.name,
        "planned": plan.epochs,
        "epochs": len(rows),
        "test": [row["test"] for row in rows],
        "lr": [row["lr"][0] for row in rows],
        "phases": [row["decisions"][0]["phase"] for row in rows],
        "held_out": [row["held_out"]["output"] for row in rows if "held_out" in row],
        **traces,
        "measuring_seconds": statistics.median(row["seconds"]["measure"] for row in rows),
        "processor_seconds": time.process_time() - began,
    }


if __name__ == "__main__":
    main()
