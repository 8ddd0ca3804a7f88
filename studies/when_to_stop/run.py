"""Curvature and gradient noise in the runs of studies/veca; see README.md. Rows: results/when_to_stop.jsonl"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from infopace import Probe
from infopace.diagnostics import GoldilocksRatio, GradientNoise
from infopace.lab.environment import hardware, set_determinism, versions
from studies.shared.rows import RESULTS, read
from studies.veca.run import DECAYS, LABELS, SEEDS, TASKS, Examples, Looks, at_constant_rate, tested

PATH = RESULTS / "when_to_stop.jsonl"
DIMENSIONS = 30  # of the subspace of the Goldilocks ratio
EXAMPLES = 200  # for the time that both take


class CurvatureAndNoise(Looks):
    """Both on the same training examples, fewer than the other diagnostics have, and the test accuracy."""

    def __init__(self, train: Examples, held_out: Examples, test: Examples) -> None:
        super().__init__(train, held_out, test)
        probe = Probe.sample((train.inputs, train.labels), EXAMPLES)
        self.curvature = GoldilocksRatio(probe, cross_entropy, DIMENSIONS)
        self.noise = GradientNoise(probe, cross_entropy)

    def at(self, epoch: int, model: nn.Sequential) -> dict[str, Any]:
        """The numbers after an epoch, to four places that count."""
        found = {**self.curvature(model), **self.noise(model)}
        # inf where the gradient is within its noise: `noise_scale` is then at least the number of examples.
        del found["unbiased_noise_scale"]
        rounded = {name: float(f"{value:.4g}") for name, value in found.items()}
        return {
            "epoch": epoch,
            "test": tested(model, self.test)["test"],
            **rounded,
        }


def main() -> None:
    """Make the rows that are missing: those of a task are trained together."""
    parser = argparse.ArgumentParser(description="Curvature and gradient noise in the runs of veca")
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    done = {(r["task"], r["labels"], r["decay"], r["seed"]) for r in read(PATH)}
    keys = [(labels, decay, seed) for seed in arguments.seeds for decay in DECAYS for labels in LABELS]
    for task in arguments.tasks:
        missing = [key for key in keys if (task, *key) not in done]
        began = time.process_time()
        found = at_constant_rate(TASKS[task], missing, CurvatureAndNoise) if missing else {}
        seconds = round(time.process_time() - began, 1)
        for (labels, decay, seed), points in found.items():
            row = {"task": task, "labels": labels, "decay": decay, "seed": seed, "points": points}
            row |= {
                "processor_s_of_all": seconds,
                "versions": versions(),
                "hardware": hardware(torch.device("cpu")),
            }
            with open(PATH, "a") as file:
                file.write(json.dumps(row) + "\n")
        print(task, len(found), "runs,", seconds, "s", flush=True)


if __name__ == "__main__":
    main()
