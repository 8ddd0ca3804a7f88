"""A decay of momentum beside one of the rate; see README.md. Rows: results/momentum_decay.jsonl"""

from __future__ import annotations

import itertools
from typing import Any

from infopace import HoldAndDecay
from infopace.lab.workloads import find_workload
from studies.shared.rows import Setting, make_missing, tested_bounds, trained

WORKLOADS = ("digits-mlp", "deep-mlp", "digits")
SEEDS = range(7000, 7005)
DECAYS = ("rate", "momentum")


def main() -> None:
    """Run what is missing."""
    settings: list[Setting] = [
        {"workload": name, "decays": decays, "seed": seed}
        for seed, name, decays in itertools.product(SEEDS, WORKLOADS, DECAYS)
    ]
    make_missing("momentum_decay", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    name = setting["workload"]
    epochs = find_workload(name).epochs
    rule = HoldAndDecay(epochs, decays=setting["decays"])
    rows = trained(name, tested_bounds(name), rule, held_out=0.0, epochs=epochs, seed=setting["seed"])
    return {
        "epochs": len(rows) - 1,
        "test": [row["test"] for row in rows[1:]],
        "loss": [row["train_loss"] for row in rows[1:]],
        "lr": [row["lr"][0] for row in rows[1:]],
    }


if __name__ == "__main__":
    main()
