"""Curvature at scaled initial weights, and how soon they train; see README.md. Rows: results/goldilocks.jsonl"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.diagnostics import goldilocks_ratio
from infopace.lab.environment import hardware, set_determinism, versions
from infopace.lab.workloads import find_workload
from studies.shared.rows import RESULTS, read

PATH = RESULTS / "goldilocks.jsonl"
MULTIPLES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
TUNING_SEEDS, SEEDS = (1, 2), (11, 12, 13, 14, 15)
DIMENSIONS, BATCH, STEPS, EVERY, TARGET = 30, 32, 900, 10, 0.95


@dataclass(frozen=True)
class Case:
    """What is measured and trained of a workload.

    Attributes:
        examples: In the loss whose curvature is measured.
        multiples: Of Xavier's weights.
        temperatures: The reciprocals of the temperatures.
        trained: The multiples that are trained.
        rates: The rates that are tried at each.
    """

    workload: str
    examples: int
    multiples: tuple[float, ...]
    temperatures: tuple[float, ...]
    trained: tuple[float, ...]
    rates: tuple[float, ...]


CASES = (
    Case("digits-mlp", 500, MULTIPLES, MULTIPLES, (0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0), RATES),
    Case(
        "digits",
        100,
        (0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
        (0.3, 3.0),
        (0.5, 1.0, 1.5, 3.0),
        RATES,
    ),
)

Setting = dict[str, Any]


def main() -> None:
    """Make the rows that are missing."""
    set_determinism(1, torch.device("cpu"))
    for setting in settings():
        done = [row["setting"] for row in read(PATH)]
        if setting in done:
            continue
        if setting.get("rate") == "tuned":
            rate = tuned(setting["workload"], setting["multiple"])
            found = trained(setting, rate) | {"rate": rate}
        else:
            found = (
                curvature(setting) if setting["part"] == "curvature" else trained(setting, setting["rate"])
            )
        row = {"setting": setting, **found, "versions": versions(), "hardware": hardware(torch.device("cpu"))}
        with open(PATH, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(setting, {name: value for name, value in found.items() if name != "accuracy"}, flush=True)


def settings() -> Iterator[Setting]:
    """Curvature first; then rates on the tuning seeds, before the runs at the tuned ones."""
    for case in CASES:
        for seed in (1, 2, 3):
            common = {"part": "curvature", "workload": case.workload, "seed": seed}
            yield from ({**common, "multiple": multiple, "temperature": 1.0} for multiple in case.multiples)
            yield from (
                {**common, "multiple": 1.0, "temperature": 1 / inverse}
                for inverse in case.temperatures
                if inverse != 1
            )
        for multiple in case.trained:
            common = {"part": "training", "workload": case.workload, "multiple": multiple}
            for seed, rate in itertools.product(TUNING_SEEDS, case.rates):
                yield {**common, "seed": seed, "rate": rate}
            for seed, rate in itertools.product(SEEDS, ("tuned", "infopace")):
                yield {**common, "seed": seed, "rate": rate}


def start(workload: str, seed: int, multiple: float) -> nn.Module:
    """The network with Xavier's weights times `multiple`, and biases of 0."""
    torch.manual_seed(seed)
    model = find_workload(workload).build_model()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                nn.init.xavier_normal_(weight)
                weight.mul_(multiple)
            else:
                weight.zero_()
    return model


def examples(workload: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test set, cast as a batch is."""
    known = find_workload(workload)
    data = known.load()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    return (
        known.prepare(data.train_inputs),
        data.train_targets,
        known.prepare(data.test_inputs),
        data.test_targets,
    )


def curvature(setting: Setting) -> dict[str, Any]:
    """The ratio and the share of positive eigenvalues."""
    inputs, targets, _, _ = examples(setting["workload"])
    n = next(case.examples for case in CASES if case.workload == setting["workload"])
    began = time.perf_counter()
    found = goldilocks_ratio(
        start(setting["workload"], setting["seed"], 1.0),
        cross_entropy,
        inputs[:n],
        targets[:n],
        DIMENSIONS,
        setting["multiple"],
        setting["temperature"],
        seed=setting["seed"],
    )
    return {
        "ratio": round(found.ratio, 5),
        "positive": round(found.positive, 5),
        "loss": round(found.loss, 5),
        "norm": round(found.norm, 4),
        "seconds": round(time.perf_counter() - began, 3),
    }


def trained(setting: Setting, rate: float | str) -> dict[str, Any]:
    """Steps until the test accuracy is reached, and the accuracy every few steps."""
    train_x, train_y, test_x, test_y = examples(setting["workload"])
    model = start(setting["workload"], setting["seed"], setting["multiple"])
    optimizer = torch.optim.SGD(model.parameters(), 0.1 if isinstance(rate, str) else rate, momentum=0.9)
    scheduler = None
    per_epoch = len(train_x) // BATCH
    if rate == "infopace":
        probe = Probe.sample((train_x, train_y), n=1000, seed=setting["seed"])
        policy = HoldAndDecay(STEPS // per_epoch)
        scheduler = MutualInformationLR(optimizer, model, probe, policy=policy, steps_per_epoch=per_epoch)
    draws = torch.Generator().manual_seed(setting["seed"])
    accuracy: list[float] = []
    reached = None
    order = torch.arange(0)
    for step in range(1, STEPS + 1):
        if (step - 1) % per_epoch == 0:
            order = torch.randperm(len(train_x), generator=draws)
        batch = order[(step - 1) % per_epoch * BATCH :][:BATCH]
        optimizer.zero_grad()
        loss = cross_entropy(model(train_x[batch]), train_y[batch])
        if scheduler is None and not bool(loss.isfinite()):
            break
        loss.backward()
        optimizer.step()
        if scheduler is not None and step % per_epoch == 0:
            scheduler.observe()
            scheduler.step()
        if step % EVERY == 0:
            with torch.no_grad():
                accuracy.append(round(float((model(test_x).argmax(1) == test_y).float().mean()), 4))
            if reached is None and accuracy[-1] >= TARGET:
                reached = step
                if isinstance(rate, str):
                    continue
                break  # of a rate on a tuning seed no more is asked
    return {"reached": reached, "accuracy": accuracy}


def tuned(workload: str, multiple: float) -> float:
    """The rate with the fewest steps in the mean over the tuning seeds."""
    rates = next(case.rates for case in CASES if case.workload == workload)
    steps: dict[float, float] = dict.fromkeys(rates, 0.0)
    for row in read(PATH):
        setting = row["setting"]
        own = setting["part"] == "training" and setting["workload"] == workload
        if own and setting["multiple"] == multiple and setting["rate"] in steps:
            steps[setting["rate"]] += row["reached"] or STEPS + EVERY
    return min(steps, key=lambda rate: (steps[rate], rate))


if __name__ == "__main__":
    main()
