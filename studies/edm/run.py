"""EDM beside DeCov, dropout and no term, on a dense and a convolutional network; see README.md.

Rows: results/edm.jsonl
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace.lab.environment import keep_freed_memory, set_determinism
from infopace.lab.workload import mlp, pixels_to_unit
from infopace.lab.workloads.mnist import load_mnist
from infopace.regularizers import EnsembleDecorrelation, Layers
from studies.shared.rows import RESULTS, make_missing, read

NAME = "edm"
IMAGES, VALIDATION, TESTS, EPOCHS, BATCH = 1_000, 2_000, 4_000, 40, 100
LR, GROUPS = 0.05, 4
TUNING_SEEDS, SEEDS = (8000, 8001), tuple(range(9000, 9010))
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Network:
    """A network, the layer that the term is about, and the number of its units or channels."""

    build: Callable[[], nn.Module]
    layer: str
    units: int


def conv() -> nn.Module:
    """Two convolutions of stride 2, 4 and 16 channels, and a dense layer: 8,482 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(4, 16, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    )


# The layer is the last hidden one, after its ReLU.
NETWORKS = {
    "dense": Network(lambda: mlp(784, 128, 64, 10), "4", 64),
    "conv": Network(conv, "3", 16),
}
# What each method is tuned over: beta, or the share that is dropped.
BETAS = (0.01, 0.1, 1.0, 10.0)
GRID: dict[str, tuple[float, ...]] = {
    "none": (0.0,),
    "dropout": (0.1, 0.25, 0.5),
    "decov": BETAS,
    "edm, covariances": BETAS,
    "edm, correlations": BETAS,
    "variances alone": BETAS,
}


def variances(t: Tensor) -> Tensor:
    """The mean squared variance of a unit: what DeCov leaves out of |C|^2, so it decorrelates nothing."""
    table = t.flatten(2).mean(2) if t.ndim > 2 else t
    return table.var(0, correction=0).square().mean()


def build_term(method: str, units: int) -> Callable[[Tensor], Tensor] | None:
    """The term of a method."""
    if method == "variances alone":
        return variances
    if not method.startswith(("decov", "edm")):
        return None
    groups = units if method == "decov" else GROUPS
    return EnsembleDecorrelation(units, groups, correlations=method.endswith("correlations"))


def trained(setting: dict[str, Any]) -> dict[str, Any]:
    """The row of a run. One with a tuning seed is evaluated on validation images."""
    network, method, strength = NETWORKS[setting["network"]], setting["method"], setting["strength"]
    train, validation, test = digits()
    other = validation if setting["seed"] in TUNING_SEEDS else test
    torch.manual_seed(setting["seed"])
    model, term = network.build(), build_term(method, network.units)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    order = torch.Generator().manual_seed(setting["seed"])
    dropout = nn.Dropout(strength) if method == "dropout" else None
    row: dict[str, Any] = {"epochs": EPOCHS, "test": []}
    began = time.process_time()
    with Layers(model, network.layer, change=dropout) as layers:
        for _ in range(EPOCHS):
            for inputs, targets in batches(train, order):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(inputs), targets)
                if term is not None:
                    loss = loss + strength * term(layers[network.layer])
                loss.backward()
                optimizer.step()
            row["test"].append(round(accuracy(model, other), 5))
        with torch.no_grad():
            model.eval()(other[0])
            units = layers[network.layer]
            between = EnsembleDecorrelation(network.units, GROUPS)(units)
    row |= {"between": round(float(between), 5), "rms": round(float(units.square().mean().sqrt()), 4)}
    return row | {"processor_s": round(time.process_time() - began, 2)}


def batches(data: Examples, generator: torch.Generator) -> Iterator[Examples]:
    """Batches in a new order."""
    for rows in torch.randperm(len(data[0]), generator=generator).split(BATCH):
        yield data[0][rows], data[1][rows]


@torch.no_grad()
def accuracy(model: nn.Module, data: Examples) -> float:
    """In evaluation mode."""
    model.eval()
    right = int((model(data[0]).argmax(1) == data[1]).sum())
    model.train()
    return right / len(data[0])


@functools.cache
def digits() -> tuple[Examples, Examples, Examples]:
    """Training, validation and test images of MNIST, the same for every seed."""
    data = load_mnist()
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    rows = torch.randperm(len(data.train_targets), generator=torch.Generator().manual_seed(0))
    train, validation = rows[:IMAGES], rows[IMAGES : IMAGES + VALIDATION]
    parts = [(data.train_inputs[some], data.train_targets[some]) for some in (train, validation)]
    parts.append((data.test_inputs[:TESTS], data.test_targets[:TESTS]))
    one, two, three = ((pixels_to_unit(inputs), targets) for inputs, targets in parts)
    return one, two, three


def ended(row: dict[str, Any]) -> float:
    """The mean accuracy of the last five epochs, which is less noisy than that of the last."""
    return statistics.fmean(row["test"][-5:])


def chosen(network: str, method: str) -> float:
    """The strength with the best mean over the tuning seeds; the weakest of several."""
    found: dict[float, list[float]] = {}
    for row in read(RESULTS / f"{NAME}.jsonl"):
        setting = row["setting"]
        if (setting["network"], setting["method"]) == (network, method) and setting["seed"] in TUNING_SEEDS:
            found.setdefault(setting["strength"], []).append(ended(row))
    return max(sorted(found), key=lambda strength: statistics.fmean(found[strength]))


def main() -> None:
    """Tune on seeds and images apart, and then make the rows that are missing, one seed after another."""
    parser = argparse.ArgumentParser(description="EDM beside DeCov, dropout and none")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    keep_freed_memory()
    for network in arguments.networks:
        tuning = [
            {"network": network, "method": method, "strength": strength, "seed": seed}
            for method, grid in GRID.items()
            for strength, seed in itertools.product(grid, TUNING_SEEDS)
        ]
        make_missing(NAME, tuning, trained)
    for seed, network in itertools.product(arguments.seeds, arguments.networks):
        best = [
            {"network": network, "method": method, "strength": chosen(network, method), "seed": seed}
            for method in GRID
        ]
        make_missing(NAME, best, trained)


if __name__ == "__main__":
    main()
