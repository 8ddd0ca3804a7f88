"""The default rule at bounds that are too high; see README.md. Rows: results/policy_too_high.jsonl"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from infopace.lab.config import HELD_OUT
from infopace.lab.workloads import find_workload
from infopace.scheduler import RollBack
from studies.shared.rows import Setting, make_missing, tested_bounds, trained_or_not

WORKLOADS = ("digits", "mnist-mlp", "deep-mlp", "cifar-plain", "turned")
TIMES, SEEDS = (1, 2, 4, 8), range(3000, 3005)
FEW_EPOCHS = (4, 8, 12, 15)
SHARES = (0.25, 0.75)


def main() -> None:
    """Run what is missing."""
    standard = {"roll_back": True, "left": 0.5, "lowered": 0.5}
    settings: list[Setting] = [
        {"workload": name, "times": times, "epochs": None, "seed": seed, **standard, "roll_back": on}
        for seed, name, times, on in itertools.product(SEEDS, WORKLOADS, TIMES, (True, False))
    ]
    # A range test before few epochs is short, and its bounds may be too high.
    settings += [
        {"workload": "digits", "times": None, "epochs": epochs, "seed": seed, **standard, "roll_back": on}
        for seed, epochs, on in itertools.product(SEEDS, FEW_EPOCHS, (True, False))
    ]
    settings += [
        {"workload": name, "times": 4, "epochs": None, "seed": seed, **standard, constant: share}
        for seed, name, constant, share in itertools.product(
            SEEDS, ("digits", "deep-mlp"), ("left", "lowered"), SHARES
        )
    ]
    make_missing("policy_too_high", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    name, times = setting["workload"], setting["times"]
    bounds = None
    if times is not None:
        tested = tested_bounds(name)
        bounds = dataclasses.replace(tested, lr_top=times * tested.lr_top, lr_max=times * tested.lr_max)
    rows, diverged = trained_or_not(
        name,
        bounds,
        roll_back=setting["roll_back"] and RollBack(left=setting["left"], lowered=setting["lowered"]),
        held_out=HELD_OUT,
        epochs=setting["epochs"] or find_workload(name).epochs,
        seed=setting["seed"],
    )
    return {
        "rolled_back": sum(row["train_loss"] is None for row in rows[1:]),
        "diverged": diverged,
        "epochs": len(rows) - 1,
        "test": [row["test"] for row in rows[1:]],
    }


if __name__ == "__main__":
    main()
