"""What if the bounds promise too much? python -m studies.bounds_too_high.run

Our rule as `infopace train` takes it, lr_top and lr_max those of the comparison's range test, or 2, 4 and 8 times as
high; once with epochs undone that ruin the network, as is the standard, and once without. Then what brings such bounds
about: digits with few epochs, whose range test before the training is as short as that. And, at bounds four times too
high, the two constants of the undoing moved: what share of the information must be left, and what an undone epoch
leaves of the bounds.

Rows go to results/policy_too_high.jsonl; those that are there are not made again.

Expected, written before the first run: without undoing more and more trainings die from twice the bounds on, and a dead
one ends at chance; with it none dies, and each ends within a point of the same seed at the tested bounds. Where nothing
dies both are the same to the last digit. Neither constant matters from a quarter to three quarters.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial
from typing import Any
from unittest.mock import patch

import infopace.scheduler
from infopace import MutualInformationLR
from infopace.lab import training
from infopace.lab.config import HELD_OUT
from infopace.lab.workloads import find_workload
from studies.shared.rows import Setting, make_missing, tested_bounds, trained_or_not

WORKLOADS = ("digits", "mnist-mlp", "deep-mlp", "cifar-plain", "turned")
TIMES, SEEDS = (1, 2, 4, 8), range(3000, 3005)
FEW_EPOCHS = (4, 8, 12, 15)
SHARES = (0.25, 0.75)


def main() -> None:
    """Run what is missing."""
    standard = {"roll_back": True, "left": 0.5, "lowered": 0.5}
    settings: list[Setting] = [
        {"workload": name, "times": times, "epochs": None, "seed": seed, **standard, "roll_back": undo}
        for seed, name, times, undo in itertools.product(SEEDS, WORKLOADS, TIMES, (True, False))
    ]
    settings += [
        {"workload": "digits", "times": None, "epochs": epochs, "seed": seed, **standard, "roll_back": undo}
        for seed, epochs, undo in itertools.product(SEEDS, FEW_EPOCHS, (True, False))
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
    epochs = setting["epochs"] or find_workload(name).epochs
    with (
        patch.object(training, "MutualInformationLR", partial(_scheduler, setting["roll_back"])),
        patch.multiple(infopace.scheduler, _LEFT=setting["left"], _LOWERED=setting["lowered"]),
    ):
        rows, diverged = trained_or_not(name, bounds, held_out=HELD_OUT, epochs=epochs, seed=setting["seed"])
    undone = sum(row["train_loss"] is None for row in rows[1:])
    return {
        "rolled_back": undone,
        "diverged": diverged,
        "epochs": len(rows) - 1,
        "test": [row["test"] for row in rows[1:]],
    }


def _scheduler(undoing: bool, *arguments: Any, **options: Any) -> MutualInformationLR:
    return MutualInformationLR(*arguments, **{**options, "roll_back": undoing})


if __name__ == "__main__":
    main()
