"""How long training takes under a scheduler with every="auto", beside the plain loop; see README.md.

Rows: results/cadence_auto.jsonl
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from infopace import MutualInformationLR, Probe
from infopace.lab.batches import caster, drawn_batches, hold_out
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload
from infopace.probe import Measuring

RESULTS = Path(__file__).resolve().parents[2] / "results" / "cadence_auto.jsonl"
HELD_OUT = 0.1


class Loop:
    """A network, its optimizer and its batches, under a scheduler or not."""

    def __init__(self, workload: Workload, data: Data) -> None:
        torch.manual_seed(0)
        self.cast = caster(workload)
        self.model = workload.build_model()
        self.optimizer = workload.optimizer.build(self.model, workload.bounds.lr_max)
        self._workload, self._data = workload, data
        self._batches = self._endless()

    def train(self, steps: int) -> float:
        """So many steps; the seconds they took."""
        began = time.perf_counter()
        for index in itertools.islice(self._batches, steps):
            self.optimizer.zero_grad()
            outputs = self.model(self.cast(self._data.train_inputs[index]))
            self._workload.task.loss(outputs, self._data.train_targets[index]).backward()
            self.optimizer.step()
        return time.perf_counter() - began

    def _endless(self) -> Iterator[torch.Tensor]:
        draws = torch.Generator().manual_seed(0)
        while True:
            yield from drawn_batches(self._workload, len(self._data.train_targets), draws)


def main() -> None:
    """Time the workloads and append a row each."""
    parser = argparse.ArgumentParser(description="Training under every='auto' beside the plain loop")
    parser.add_argument("workloads", nargs="*", default=["digits", "tinyshakespeare", "cifar10-small"])
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="of training a workload, both loops together"
    )
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    for name in arguments.workloads:
        row = timed(find_workload(name), 60 * arguments.minutes, arguments.pairs)
        print(row, flush=True)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def timed(workload: Workload, seconds: float, pairs: int) -> dict[str, Any]:
    """The row of one workload: segments of both loops that take turns, and the time inside of measurements."""
    data, held_out = hold_out(workload.load(), HELD_OUT)
    plain, paced = Loop(workload, data), Loop(workload, data)
    n = min(workload.probe_size, len(data.train_targets))
    probes = [_probe(data.train_set(), n, paced), _probe(held_out, min(n, len(held_out[1])), paced)]
    spent = [0.0]
    with mock.patch.object(Probe, "measure", _timed(Probe.measure, spent)):
        scheduler = MutualInformationLR(
            paced.optimizer,
            paced.model,
            probes[0],
            workload.bounds,
            held_out=probes[1],
            every="auto",
            measuring=Measuring(std_error=False),
        )
        # The first steps warm up, and choose the cadence.
        one = min(plain.train(20), plain.train(20)) / 20
        paced.train(40)
        steps = max(int(seconds / (2 * pairs * one)), 1)
        spent[0], measured = 0.0, scheduler.every
        times = [(plain.train(steps), paced.train(steps)) for _ in range(pairs)]
    without, under = (sum(column) for column in zip(*times, strict=True))
    return {
        "workload": workload.name,
        "pairs": pairs,
        "steps_a_segment": steps,
        "every": measured,
        "probes": [probe.n for probe in probes],
        "measurements": pairs * steps // (measured or 1),
        "seconds": [round(without, 2), round(under, 2)],
        "share_measuring": round(spent[0] / under, 5),
        "ratios": [round(second / first, 4) for first, second in times],
        "median_ratio": round(statistics.median(second / first for first, second in times), 4),
        "ratio": round(under / without, 4),
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }


def _probe(rows: Any, n: int, loop: Loop) -> Probe:
    sample = Probe.sample(rows, n)
    return Probe(loop.cast(sample.inputs), sample.targets)


def _timed(measure: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The same call; the seconds that it takes are added to spent[0]."""

    def call(*args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return measure(*args, **options)
        finally:
            spent[0] += time.perf_counter() - began

    return call


if __name__ == "__main__":
    main()
