"""Another rate to hold, or another way down, with held-out rows? python -m studies.held_rate_and_decay_shape.run

Our rule as `infopace train` takes it, with LR_top (middle 0) or LR_max (middle 1) in place of the middle of the two;
and with an anneal that falls faster at first: as 1 - sqrt(t), which Hägele et al. (arXiv:2405.18392, 2024) found better
than a line after a constant rate, or as (1 - t)^2, t the share of the anneal that is over.

Rows go to results/policy_rate_and_shape.jsonl; those that are there are not made again.

Expected: the faster ways down help where a network memorizes, which it does at high rates (cifar-plain, noisy-mlp,
flipped), and change nothing elsewhere; LR_top helps on cifar-plain, whose tuned cosine begins at a third of what is
held. (A first look at these seeds came before this was written.)
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from infopace import Decision, HoldAndDecay
from infopace.lab.config import HELD_OUT
from infopace.lab.workloads import find_workload
from infopace.policies import _hold_and_decay
from studies.shared.rows import Setting, make_missing, tested_bounds, trained

WORKLOADS = ("cifar-plain", "digits", "deep-mlp", "mnist-1k", "mnist-mlp", "friedman-2k", "noisy-mlp")
WORKLOADS += ("diabetes", "cancer-mlp", "friedman-300", "flipped", "turned")
SEEDS = range(5000, 5006)
# The share of the held rate, by the share of the anneal that is over.
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: 1 - t,
    "1 - sqrt(t)": lambda t: 1 - t**0.5,
    "(1 - t)^2": lambda t: (1 - t) ** 2,
}
VARIANTS = ((0.5, "linear"), (0.0, "linear"), (1.0, "linear"), (0.5, "1 - sqrt(t)"), (0.5, "(1 - t)^2"))
_straight = HoldAndDecay._decision


def main() -> None:
    """Run what is missing."""
    settings: list[Setting] = [
        {"workload": name, "middle": middle, "shape": shape, "seed": seed}
        for seed, name, (middle, shape) in itertools.product(SEEDS, WORKLOADS, VARIANTS)
    ]
    make_missing("policy_rate_and_shape", settings, _run)


def _run(setting: Setting) -> dict[str, Any]:
    name = setting["workload"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(_hold_and_decay, "_MIDDLE", setting["middle"]))
        stack.enter_context(patch.object(HoldAndDecay, "_decision", _bent(SHAPES[setting["shape"]])))
        epochs = find_workload(name).epochs
        rows = trained(name, tested_bounds(name), held_out=HELD_OUT, epochs=epochs, seed=setting["seed"])
    return {"epochs": len(rows) - 1, "test": [row["test"] for row in rows[1:]]}


def _bent(shape: Callable[[float], float]) -> Callable[..., Decision]:
    def decide(self: HoldAndDecay, phase: Any, epoch: int, bounds: Any) -> Decision:
        decision = _straight(self, phase, epoch, bounds)
        if decision.cause not in ("anneal", "floor"):
            return decision
        held = _hold_and_decay._held_rate(phase, phase.anneal, bounds)
        over = (epoch - phase.anneal - 0.5) / (phase.end - phase.anneal)
        return dataclasses.replace(decision, lr=max(held * shape(over), bounds.lr_min))

    return decide


if __name__ == "__main__":
    main()
