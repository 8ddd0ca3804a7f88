"""One epoch of MNIST under the default rule, measured every 5, 10, 20 or 40 steps; see README.md.

Rows: results/cadence.jsonl
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe
from infopace.lab.environment import set_determinism
from infopace.lab.workload import Data, mlp, pixels_to_unit
from infopace.lab.workloads.mnist import load_mnist
from infopace.probe import Measuring
from studies.shared.rows import Setting, make_missing

TRAINED, HELD_OUT, BATCH = 20_000, 1_000, 64
STEPS = TRAINED // BATCH
BOUNDS = Bounds(0.001, 0.1)
CADENCES = (5, 10, 20, 40)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="One epoch of MNIST, measured at several cadences")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5000, 5010)))
    parser.add_argument("--signals", nargs="+", default=["neighbours", "usable"])
    arguments = parser.parse_args()
    settings = [
        {"signal": signal, "horizon": horizon, "every": every, "seed": seed}
        for seed, signal, horizon, every in itertools.product(
            arguments.seeds, arguments.signals, ("known", "free"), CADENCES
        )
    ]
    make_missing("cadence", settings, run)


def run(setting: Setting) -> dict[str, Any]:
    """One run."""
    set_determinism(1, torch.device("cpu"))
    seed, data = setting["seed"], _data()
    torch.manual_seed(seed)
    order = torch.randperm(len(data.train_targets), generator=torch.Generator().manual_seed(seed))
    out, kept = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + TRAINED]
    model = mlp(784, 128, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=BOUNDS.lr_max, momentum=0.9)
    began = time.process_time()
    scheduler = MutualInformationLR(
        optimizer,
        model,
        Probe(*_rows(data, kept[:1_000])),
        BOUNDS,
        HoldAndDecay(steps=STEPS if setting["horizon"] == "known" else None, stop_early=True),
        held_out=Probe(*_rows(data, out)),
        every=setting["every"],
        measuring=Measuring(std_error=False, signal=setting["signal"]),
    )
    for batch in kept[torch.randperm(TRAINED)][: STEPS * BATCH].split(BATCH):
        inputs, targets = _rows(data, batch)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    seconds = time.process_time() - began
    inputs, targets = pixels_to_unit(data.test_inputs[:]), data.test_targets
    model.eval()
    with torch.no_grad():
        accuracy = float((model(inputs).argmax(1) == targets).double().mean())
    decisions = [taken[0] for taken in scheduler.decisions]
    return {
        "epochs": 1,
        "planned": 1,
        "test": [accuracy],
        "unit": scheduler.unit,
        "values": scheduler.history["output"],
        "held_out": scheduler.held_out_history["output"],
        "lr": [decision.lr for decision in decisions],
        "phases": [decision.phase for decision in decisions],
        "rolled_back": scheduler.rolled_back,
        "processor_seconds": seconds,
    }


@functools.cache
def _data() -> Data:
    return load_mnist()


def _rows(data: Data, index: Tensor) -> tuple[Tensor, Tensor]:
    return pixels_to_unit(data.train_inputs[index]), data.train_targets[index]


if __name__ == "__main__":
    main()
