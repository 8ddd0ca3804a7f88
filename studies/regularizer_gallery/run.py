"""Each term in the loss of a small network at some betas: its value, its null, the information that is left.

Rows: results/regularizer_gallery.jsonl
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import mutual_information
from infopace.lab.environment import keep_freed_memory, set_determinism
from infopace.lab.workload import Data, mlp
from infopace.lab.workloads.digits import grey_levels_to_unit, load_digits
from infopace.lab.workloads.small_tables import friedman
from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    InfoNCE,
    Layers,
    MatrixRenyi,
    NormalizedHSIC,
)
from studies.regularizer_gallery.terms import (
    TERMS,
    Shown,
    Widths,
    apart,
    change_of,
    club,
    mine,
    own_parameters,
)
from studies.shared.rows import make_missing

NAME = "regularizer_gallery"
SEEDS = (9000, 9001)
EPOCHS, BATCH, LR = 15, 100, 0.05
BATCHES_A_LOOK = 20  # of the measured information, whose critic is fitted for ten times as many steps
HELD_OUT = 200  # test examples that the value over training is of
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """Examples as the network gets them."""

    train: Examples
    test: Examples
    widths: Widths
    classes: bool

    def network(self) -> nn.Module:
        """Two hidden layers, of 64 and 32 units."""
        return mlp(self.widths.inputs, 64, self.widths.units, self.widths.targets)

    def error(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss without a term."""
        return F.cross_entropy(outputs, targets) if self.classes else F.mse_loss(outputs, targets)

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """Test accuracy, or 1 - error / variance of a quantity."""
        if self.classes:
            return float((outputs.argmax(1) == targets).float().mean())
        return 1 - float(F.mse_loss(outputs, targets) / targets.var(correction=0))


@functools.cache
def task_of(name: str) -> Task:
    """scikit-learn's digits, or Friedman's first function."""
    if name == "digits":
        data = load_digits()
        train, test = (grey_levels_to_unit(part).flatten(1) for part in inputs_of(data))
        return Task((train, data.train_targets), (test, data.test_targets), Widths(32, 64, 10), True)
    data = friedman(1_000, 500, noise=1.0, seed=0)
    train, test = inputs_of(data)
    return Task((train, data.train_targets), (test, data.test_targets), Widths(32, 10, 1), False)


def inputs_of(data: Data) -> tuple[Tensor, Tensor]:
    """Those of training and test."""
    assert isinstance(data.train_inputs, Tensor) and isinstance(data.test_inputs, Tensor)
    return data.train_inputs, data.test_inputs


def call(term: nn.Module, shown: Shown, units: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """The value of a term."""
    if shown.about == "itself":
        return term(units)
    return term(units, inputs if shown.about == "inputs" else targets)


def trained(setting: dict[str, Any]) -> dict[str, Any]:
    """The row of a run."""
    shown, beta = TERMS[setting["term"]], setting["beta"]
    task = task_of(shown.task)
    torch.manual_seed(setting["seed"])
    model = task.network()
    term, blind = shown.build(task.widths), shown.build(task.widths)
    beside = club(task.widths) if shown.beside else None
    optimizer = torch.optim.SGD([*model.parameters(), *own_parameters(term)], lr=LR, momentum=0.9)
    order = torch.Generator().manual_seed(setting["seed"])
    row: dict[str, Any] = {"epochs": EPOCHS, "test": [], "value": [], "null": []}
    began = time.process_time()
    with Layers(model, shown.layer, change=change_of(term)) as layers:
        for _ in range(EPOCHS):
            model.train()
            for inputs, targets in batches(task.train, order):
                optimizer.zero_grad()
                loss = task.error(model(inputs), targets)
                units = layers[shown.layer]
                loss = loss + beta * call(term, shown, units, inputs, targets)
                if beside is not None:
                    loss = loss + shown.beside * beside(units, inputs)
                loss.backward()
                optimizer.step()
                fit_blindly(blind, shown, units.detach(), inputs, targets)
            with torch.no_grad():
                row["test"].append(round(task.score(model.eval()(task.test[0]), task.test[1]), 5))
            units = layers[shown.layer][:HELD_OUT]
            value, null = read(term, blind, shown, units, task)
            row["value"].append(round(value, 5))
            row["null"].append(None if null is None else round(null, 5))
    row["processor_s"] = round(time.process_time() - began, 2)
    return row | measured(model, shown, task)


def fit_blindly(blind: nn.Module, shown: Shown, units: Tensor, inputs: Tensor, targets: Tensor) -> None:
    """One more critic, which learns from shuffled pairs: its value is the null value."""
    if isinstance(blind, CLUB | InfoNCE | MINE):
        other = inputs if shown.about == "inputs" else targets
        blind.fit(units, other[torch.randperm(len(other))])


@torch.no_grad()
def read(
    term: nn.Module, blind: nn.Module, shown: Shown, units: Tensor, task: Task
) -> tuple[float, float | None]:
    """The value on test examples with nothing fitted, and the null value. A bottleneck has none: noise alone is 0."""
    inputs, targets = (part[:HELD_OUT] for part in task.test)
    term.eval()
    if isinstance(term, CLUB | InfoNCE | MINE):
        other = inputs if shown.about == "inputs" else targets
        assert isinstance(blind, CLUB | InfoNCE | MINE)
        value = float(term.bound(units, other))
        null: float | None = float(blind.bound(units, other[torch.randperm(HELD_OUT)]))
    else:
        value = float(call(term, shown, units, inputs, targets))
        null = None
        if isinstance(term, EnsembleDecorrelation):
            null = float(term(apart(units)))
        elif isinstance(term, NormalizedHSIC | MatrixRenyi | CauchySchwarz):
            null = float(term.shuffled(units, inputs))
    term.train()
    return value, null


@torch.no_grad()
def measured(model: nn.Module, shown: Shown, task: Task) -> dict[str, Any]:
    """What the layer says of the inputs by a new critic, what of the target, and how alike its units are.

    The critic is fitted on training examples and read on test examples: a mean over batches, and its standard error.
    """
    with Layers(model.eval(), shown.layer) as layers:
        units: list[Tensor] = []
        for inputs, _ in (task.train, task.test):
            model(inputs)
            units.append(layers[shown.layer])
    critic, values = mine(task.widths), list[float]()
    for _ in range(10 * BATCHES_A_LOOK):
        rows = torch.randperm(len(units[0]))[:BATCH]
        critic.fit(units[0][rows], task.train[0][rows], steps=1)
    for _ in range(BATCHES_A_LOOK):
        rows = torch.randperm(len(units[1]))[:BATCH]
        values.append(float(critic.bound(units[1][rows], task.test[0][rows])))
    error = statistics.stdev(values) / len(values) ** 0.5
    about = mutual_information(units[1], task.test[1], std_error=False)
    return {
        "inputs": [round(statistics.fmean(values), 4), round(error, 4)],
        "targets": round(float(about.nats), 4),
        "between": round(float(EnsembleDecorrelation(task.widths.units, 4)(units[1])), 5),
    }


def batches(data: Examples, generator: torch.Generator) -> Iterator[Examples]:
    """Batches of one size in a new order."""
    for rows in torch.randperm(len(data[0]), generator=generator).split(BATCH):
        if len(rows) == BATCH:
            yield data[0][rows], data[1][rows]


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description="The gallery of the terms")
    parser.add_argument("terms", nargs="*", default=list(TERMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    keep_freed_memory()
    for term, seed in itertools.product(arguments.terms, arguments.seeds):
        settings = [{"term": term, "beta": beta, "seed": seed} for beta in TERMS[term].betas]
        make_missing(NAME, settings, trained)


if __name__ == "__main__":
    main()
