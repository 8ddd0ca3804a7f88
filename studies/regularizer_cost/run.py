"""Seconds of an epoch with each term, and with each diagnostic after it, beside those of a bare epoch; see README.md.

Rows: results/regularizer_cost.jsonl, written anew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace.lab.environment import hardware, keep_freed_memory, set_determinism, versions
from infopace.lab.workload import mlp, pixels_to_unit
from infopace.lab.workloads.mnist import load_mnist
from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    InfoNCE,
    Layers,
    MatrixRenyi,
    NormalizedHSIC,
    VariationalBottleneck,
)
from studies.regularizer_cost.diagnostics import diagnostics_of
from studies.regularizer_gallery.terms import change_of, own_parameters

RESULTS = Path(__file__).resolve().parents[2] / "results" / "regularizer_cost.jsonl"
IMAGES, BATCH, PIXELS, BETA = 1_000, 100, 784, 1e-3


def conv() -> nn.Module:
    """Two convolutions of 16 and 32 channels, a dense layer of 64 units: 105,866 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


@dataclass(frozen=True)
class Network:
    """A network, and the layer that terms are about: its name and width, before its ReLU."""

    build: Callable[[], nn.Module]
    layer: str
    units: int


NETWORKS = {"dense": Network(lambda: mlp(784, 128, 10), "1", 128), "conv": Network(conv, "7", 64)}
# Each as the library makes it, with the width of the layer. The second word: what it is about.
TERMS: dict[str, tuple[str, Callable[[int], nn.Module]]] = {
    "nHSIC": ("inputs", lambda units: NormalizedHSIC()),
    "matrix-based Renyi": ("inputs", lambda units: MatrixRenyi()),
    "matrix-based Renyi, order 2": ("inputs", lambda units: MatrixRenyi(2.0, width=1.0)),
    "Cauchy-Schwarz": ("inputs", lambda units: CauchySchwarz()),
    "EDM": ("itself", lambda units: EnsembleDecorrelation(units, 4)),
    "CLUB": ("inputs", lambda units: CLUB(units, PIXELS)),
    "InfoNCE": ("targets", lambda units: InfoNCE(units, 10)),
    "MINE": ("inputs", lambda units: MINE(units, PIXELS, noise=0.3)),
    "variational bottleneck": ("itself", lambda units: VariationalBottleneck(units)),
}


class Run:
    """A network and its optimizer, with a term in the loss or without."""

    def __init__(self, network: Network, name: str | None) -> None:
        torch.manual_seed(0)
        self.network, self.model = network, network.build()
        self.about, build = TERMS[name] if name else ("nothing", None)
        self.term = build(network.units) if build else None
        parameters = [*self.model.parameters(), *(own_parameters(self.term) if self.term else [])]
        self.optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    def epoch(self, images: Tensor, targets: Tensor) -> float:
        """Seconds of processor time of one epoch."""
        hooks: Any = contextlib.nullcontext()
        began = time.process_time()
        if self.term is not None:
            hooks = Layers(self.model, self.network.layer, change=change_of(self.term))
        with hooks as layers:
            for rows in torch.randperm(len(images)).split(BATCH):
                inputs, labels = images[rows], targets[rows]
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(inputs), labels)
                if self.term is not None:
                    units = layers[self.network.layer]
                    other = {"itself": (), "inputs": (inputs,), "targets": (labels,)}[self.about]
                    loss = loss + BETA * self.term(units, *other)
                loss.backward()
                self.optimizer.step()
        return time.process_time() - began


def timed(name: str, pairs: int, images: Tensor, targets: Tensor) -> list[dict[str, Any]]:
    """The rows of a network. A bare epoch comes before each epoch with a term, and before each diagnostic."""
    network = NETWORKS[name]
    bare, runs = Run(network, None), {term: Run(network, term) for term in TERMS}
    looks = diagnostics_of(images, targets)
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for pair in range(pairs + 1):
        for term, run in runs.items():
            both = bare.epoch(images, targets), run.epoch(images, targets)
            seconds.setdefault(("term", term), []).extend([both] if pair else [])  # the first warms up
        for look, call in looks.items():
            before = bare.epoch(images, targets)
            began = time.process_time()
            call(bare.model)
            both = before, before + time.process_time() - began
            seconds.setdefault(("diagnostic", look), []).extend([both] if pair else [])
        print(f"{name}: {pair} of {pairs} pairs", flush=True)
    return [
        {
            "network": name,
            "kind": kind,
            "name": what,
            "bare_s": [round(without, 4) for without, _ in both],
            "with_s": [round(then, 4) for _, then in both],
        }
        for (kind, what), both in seconds.items()
    ]


def main() -> None:
    """Time all in one process, and write the rows."""
    parser = argparse.ArgumentParser(description="What each term and each diagnostic costs")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    keep_freed_memory()
    data = load_mnist()
    assert isinstance(data.train_inputs, Tensor)
    images, targets = pixels_to_unit(data.train_inputs[:IMAGES]), data.train_targets[:IMAGES]
    rows = [row for name in NETWORKS for row in timed(name, arguments.pairs, images, targets)]
    where = {"versions": versions(), "hardware": hardware(torch.device("cpu"))}
    RESULTS.write_text("".join(json.dumps(row | where) + "\n" for row in rows))
    for row in rows:
        ratios = [then / without for without, then in zip(row["bare_s"], row["with_s"], strict=True)]
        print(row["network"], row["kind"], row["name"], f"{statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
