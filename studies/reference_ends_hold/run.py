"""A hold that also ends at the reference; see README.md. Rows: results/policy_reference_ends.jsonl"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from infopace import Bounds, Decision, HoldAndDecay
from infopace.lab.workload import Data, mlp
from infopace.lab.workloads import find_workload
from infopace.lab.workloads.small_tables import DIABETES, friedman
from infopace.policies import Observed
from studies.shared.driven import train
from studies.shared.rows import Setting, make_missing, tested_bounds

_MOST = math.pi / 3


class EndsAtReference(HoldAndDecay):
    """`HoldAndDecay` whose hold also ends where information exceeds the reference."""

    reads_reference: ClassVar[bool] = True

    def decide(self, observed: Observed) -> Decision:
        """See `Policy.decide`."""
        history, bounds = observed.history, observed.bounds
        assert observed.reference is not None, "the rule reads it"
        standard = super().decide(observed)
        passed = next((a for a in range(1, observed.epoch) if history[a] >= observed.reference), None)
        if passed is None:
            return standard
        last = super().decide(dataclasses.replace(observed, history=history[:passed]))
        if last.phase != "hold":
            return standard
        left = 2 * passed - observed.epoch + 0.5
        if left < 0:
            return Decision(bounds.lr_min, "finished", f"finished after epoch {2 * passed}")
        lr = max(last.lr * left / passed, bounds.lr_min)
        return Decision(lr, "decay", "information exceeds the reference")


def rotated_digits() -> Data:
    """mnist-10k's images, each rotated by up to 60 degrees either way; the target is the angle, standardised."""
    data = find_workload("mnist-10k").load()
    assert isinstance(data.train_inputs, Tensor), "data in memory"
    assert isinstance(data.test_inputs, Tensor), "data in memory"
    return Data(*_rotated(data.train_inputs, 1), *_rotated(data.test_inputs[:2000], 2))


def _rotated(images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    angle = (torch.rand(len(images), generator=torch.Generator().manual_seed(seed)) * 2 - 1) * _MOST
    zero = torch.zeros_like(angle)
    matrix = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero]
    grid = F.affine_grid(torch.stack(matrix, 1).view(-1, 2, 3), list(images.shape), align_corners=False)
    turned = F.grid_sample(images.float() / 255, grid, align_corners=False)
    return turned.flatten(1), (angle / _MOST * math.sqrt(3))[:, None]


FRIEDMAN = dataclasses.replace(
    DIABETES,
    name="friedman",
    summary="Friedman's first function, MLP 10-64-64-1, regression",
    load=lambda: friedman(1000, 2000, 1.0, 0),
    build_model=lambda: mlp(10, 64, 64, 1),
    bounds=Bounds(0.0005, 0.05, 0.01),
    probe_size=1000,
)
ROTATED = dataclasses.replace(
    FRIEDMAN,
    name="rotated-digits",
    summary="the angle of 10,000 rotated MNIST digits, MLP 784-128-64-1, regression",
    load=rotated_digits,
    build_model=lambda: mlp(784, 128, 64, 1),
    epochs=20,
    batch_size=64,
)
SPECS = {
    "diabetes": "diabetes",
    "friedman": f"{__file__}:FRIEDMAN",
    "rotated-digits": f"{__file__}:ROTATED",
    "uci-temperature": "uci-temperature",
}


def main() -> None:
    """Run what is missing."""

    def run(setting: Setting) -> dict[str, Any]:
        spec = SPECS[setting["workload"]]
        epochs = find_workload(spec).epochs
        rule = (
            EndsAtReference(epochs)
            if setting["rule"] == "reference"
            else HoldAndDecay(epochs, stop_early=True)
        )
        tested = setting["workload"] in ("diabetes", "uci-temperature")
        bounds = tested_bounds(setting["workload"]) if tested else find_workload(spec).bounds
        return train(spec, setting["seed"], rule, bounds)

    make_missing(
        "policy_reference_ends",
        (
            {"workload": workload, "rule": rule, "seed": seed}
            for workload, seed, rule in itertools.product(SPECS, range(3000, 3006), ("as it is", "reference"))
            if workload != "uci-temperature" or rule == "reference"  # 2,000 epochs: the comparison has them
        ),
        run,
    )


if __name__ == "__main__":
    main()
