"""How long training takes under a scheduler with every="auto", beside the plain loop; see README.md.

Rows: results/cadence_auto.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infopace import MutualInformationLR, Probe
from infopace.lab.environment import hardware, versions
from infopace.lab.training import set_determinism
from infopace.lab.workload import Workload
from infopace.lab.workloads import find_workload
from infopace.probe import Measuring

RESULTS = Path(__file__).resolve().parents[2] / "results" / "cadence_auto.jsonl"
HELD_OUT = 0.1


@dataclass
class Loop:
    """A network, its optimizer and its batches."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[int], None]


def main() -> None:
    """Time the workloads and append a row each."""
    parser = argparse.ArgumentParser(description="Training under every='auto' beside the plain loop")
    parser.add_argument("workloads", nargs="*", default=["digits", "tinyshakespeare", "cifar10-small"])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a segment of the plain loop")
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    for name in arguments.workloads:
        row = timed(find_workload(name), arguments.pairs, arguments.seconds)
        print(row, flush=True)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def timed(workload: Workload, pairs: int, seconds: float) -> dict[str, Any]:
    """The row of one workload: ratios of segments that take turns, and the share of time inside of measurements."""
    plain, paced = loop(workload), loop(workload)
    measured = [0.0]
    probe, held_out = probes(workload)
    measure = Probe.measure

    def counted(*args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return measure(*args, **options)
        finally:
            measured[0] += time.perf_counter() - began

    Probe.measure = counted
    scheduler = MutualInformationLR(
        paced.optimizer,
        paced.model,
        probe,
        workload.bounds,
        held_out=held_out,
        every="auto",
        measuring=Measuring(std_error=False, signal="usable"),
    )
    steps = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        plain.step(steps)
        steps += 1
    # The first segments warm up, and choose the cadence.
    segment(paced, 0, steps)
    measured[0], ratios, total = 0.0, [], 0.0
    for number in range(pairs):
        first = number * steps
        without = segment(plain, first, steps)
        under = segment(paced, first, steps)
        ratios.append(under / without)
        total += under
    Probe.measure = measure
    return {
        "workload": workload.name,
        "pairs": pairs,
        "steps_a_segment": steps,
        "every": scheduler.every,
        "probe": [probe.n, held_out.n],
        "measurements": pairs * steps // (scheduler.every or 1),
        "share_measuring": measured[0] / total,
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "total_ratio": round(total / (total / statistics.fmean(ratios)), 4),
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }
