"""The lab's training loop beside a bare PyTorch loop; see README.md. Rows: results/lab_loop.jsonl"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from infopace.lab.batches import caster
from infopace.lab.config import OURS, TrainConfig, resolve
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.training import Training
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload

RESULTS = Path(__file__).resolve().parents[2] / "results" / "lab_loop.jsonl"


def main() -> None:
    """Time the workloads and append a row each. The loops take turns in one process."""
    parser = argparse.ArgumentParser(description="The lab's training loop beside a bare one")
    parser.add_argument("workloads", nargs="+")
    parser.add_argument("--pairs", type=int, default=9)
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    for name in arguments.workloads:
        row = timed(find_workload(name), arguments.pairs)
        print(row, flush=True)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def timed(workload: Workload, pairs: int) -> dict[str, object]:
    """The row of one workload."""
    data = workload.load()
    loops: dict[str, Callable[[], float]] = {
        "bare": bare(workload, data),
        "lab": lab(workload, data, method="sgd-constant", lr=0.01),
        "paced": lab(workload, data, bounds="workload", held_out=0.0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(pairs + 1):
        for name, run in loops.items():
            seconds[name].append(run())
    kept = {name: values[1:] for name, values in seconds.items()}  # the first warms up

    def ratio(name: str) -> float:
        pairwise = [a / b for a, b in zip(kept["bare"], kept[name], strict=True)]
        return round(statistics.median(pairwise), 3)

    return {
        "workload": workload.name,
        "pairs": pairs,
        "bare_epochs_a_minute": round(60 / statistics.median(kept["bare"]), 2),
        "lab": ratio("lab"),
        "lab_paced": ratio("paced"),
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),
    }


def lab(workload: Workload, data: Data, **options: object) -> Callable[[], float]:
    """An epoch of the lab: of a baseline, or with measuring."""
    training = Training(
        resolve(TrainConfig(workload=workload.name, threads=1, **{"method": OURS, **options})), data
    )
    epochs = iter(range(1, 10**6))

    def run() -> float:
        started = time.perf_counter()
        training.run_epoch(next(epochs), lambda done, total: None)
        return time.perf_counter() - started

    return run


def bare(workload: Workload, data: Data) -> Callable[[], float]:
    """An epoch of the loop that a person writes who keeps the data in memory; it checks nothing."""
    cast = caster(workload)
    model = workload.build_model()
    if workload.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = workload.optimizer.build(model, 0.01)
    inputs, targets = data.train_inputs, data.train_targets
    assert isinstance(inputs, torch.Tensor)
    assert isinstance(data.test_inputs, torch.Tensor)
    test = list(zip(data.test_inputs.split(250), data.test_targets.split(250), strict=True))

    def run() -> float:
        started = time.perf_counter()
        model.train()
        for batch in torch.randperm(len(targets)).split(workload.batch_size):
            x = inputs[batch]
            if workload.augment is not None:
                x = workload.augment(x, torch.default_generator)
            optimizer.zero_grad()
            workload.task.loss(model(cast(x)), targets[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in test:
                workload.metric.score(model(cast(x)), y).sum().item()
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    main()
