"""The default rule when something else changes half-way; see README.md. Rows: results/policy_changes.jsonl"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from typing import Any

import torch

from infopace import Decision, HoldAndDecay, Policy
from infopace.lab.augment import CropAndFlip
from infopace.lab.training import Training
from infopace.lab.workload import Data
from infopace.lab.workloads import find_workload
from infopace.policies import Observed
from studies.shared.driven import Change, train
from studies.shared.rows import Setting, make_missing, tested_bounds


class Blind(Policy):
    """The default rule, blind from its first decay on: every later value counts as the last of the hold."""

    def __init__(self, epochs: int) -> None:
        self._rule = HoldAndDecay(epochs, stop_early=True)

    def decide(self, observed: Observed) -> Decision:
        """See `Policy.decide`."""
        history, epoch = observed.history, observed.epoch
        for done in range(epoch):
            decision = self._rule.decide(dataclasses.replace(observed, history=history[: done + 1]))
            if decision.phase == "decay":
                blind = [*history[: done + 1], *[history[done]] * (epoch - done - 1)]
                return self._rule.decide(dataclasses.replace(observed, history=blind))
        return self._rule.decide(observed)


def half_of_the_classes(training: Training, data: Data) -> None:
    """Train on the lower half of the classes alone."""
    assert isinstance(data.train_inputs, torch.Tensor), "data in memory"
    low = data.train_targets < (int(data.train_targets.max()) + 1) // 2
    training.data = dataclasses.replace(
        data, train_inputs=data.train_inputs[low], train_targets=data.train_targets[low]
    )


def all_classes(training: Training, data: Data) -> None:
    """Train on the whole training set again."""
    training.data = data


def double_batch(training: Training, data: Data) -> None:
    """Double the batch size."""
    _replace(training, batch_size=2 * training.plan.workload.batch_size)


def augmentation(training: Training, data: Data) -> None:
    """Shift images by up to an eighth of their side, and mirror half of them, from now on."""
    assert isinstance(data.train_inputs, torch.Tensor), "data in memory"
    _replace(training, augment=CropAndFlip(padding=max(1, data.train_inputs.shape[-1] // 8)))


def _replace(training: Training, **fields: Any) -> None:
    workload = dataclasses.replace(training.plan.workload, **fields)
    training.plan = dataclasses.replace(training.plan, workload=workload)


MIDWAY = {"classes": all_classes, "batch": double_batch, "augmentation": augmentation}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Changes half-way through a run")
    parser.add_argument("workload")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3000, 3010)))
    parser.add_argument("--changes", nargs="+", default=list(MIDWAY))
    arguments = parser.parse_args()
    workload, epochs = arguments.workload, find_workload(arguments.workload).epochs

    def run(setting: Setting) -> dict[str, Any]:
        change = setting["change"]
        changes = [Change(epochs // 2, MIDWAY[change])]
        if change == "classes":
            changes.insert(0, Change(0, half_of_the_classes))
        rule = HoldAndDecay(epochs, stop_early=True) if setting["rule"] == "sees" else Blind(epochs)
        return train(workload, setting["seed"], rule, tested_bounds(workload), changes=changes)

    make_missing(
        "policy_changes",
        (
            {"workload": workload, "change": change, "rule": rule, "seed": seed}
            for seed, change, rule in itertools.product(arguments.seeds, arguments.changes, ("sees", "blind"))
        ),
        run,
    )


if __name__ == "__main__":
    main()
