"""Other held learning rates and other shapes of decay; see README.md. Rows: results/policy_rate_and_shape.jsonl"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from infopace import HoldAndDecay
from infopace.lab.config import HELD_OUT
from infopace.lab.workloads import find_workload
from studies.shared.rows import Setting, make_missing, tested_bounds, trained

WORKLOADS = ("cifar-plain", "digits", "deep-mlp", "mnist-1k", "mnist-mlp", "friedman-2k", "noisy-mlp")
WORKLOADS += ("diabetes", "cancer-mlp", "friedman-300", "flipped", "turned")
SEEDS = range(5000, 5006)
# Share of the held learning rate, by the share t of the decay that is over.
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: 1 - t,
    "1 - sqrt(t)": lambda t: 1 - t**0.5,
    "(1 - t)^2": lambda t: (1 - t) ** 2,
}
VARIANTS = ((0.5, "linear"), (0.0, "linear"), (1.0, "linear"), (0.5, "1 - sqrt(t)"), (0.5, "(1 - t)^2"))


def main() -> None:
    """Run what is missing."""
    settings: list[Setting] = [
        {"workload": name, "middle": middle, "shape": shape, "seed": seed}
        for seed, name, (middle, shape) in itertools.product(SEEDS, WORKLOADS, VARIANTS)
    ]
    make_missing("policy_rate_and_shape", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    name = setting["workload"]
    epochs = find_workload(name).epochs
    rule = HoldAndDecay(epochs, stop_early=True, middle=setting["middle"], shape=SHAPES[setting["shape"]])
    rows = trained(name, tested_bounds(name), rule, held_out=HELD_OUT, epochs=epochs, seed=setting["seed"])
    return {"epochs": len(rows) - 1, "test": [row["test"] for row in rows[1:]]}


if __name__ == "__main__":
    main()
