"""VECA, VOVU, the plane and the loss, epoch by epoch; see README.md. Rows: results/veca.jsonl

One loop records all that `studies/when_to_stop` needs, too.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.diagnostics import ActivationSpread, information_through_noise
from infopace.lab.environment import set_determinism
from infopace.lab.workload import mlp
from infopace.lab.workloads import find_workload
from studies.shared.rows import RESULTS, read

NAME = "veca"
LABELS = {"clean": 0.0, "wrong": 0.3}
DECAYS = (0.0, 0.005)
SEEDS = range(5)
PROBE, HELD_OUT = 1_000, 0.1
# The name of the last hidden layer after its ReLU; of I(X; T + N) the noise and the examples.
LAST_HIDDEN, NOISE, NOISY = "4", 1.0, 500


@dataclass(frozen=True)
class Task:
    """A data set with a network for it, trained by SGD with momentum at a constant rate.

    Attributes:
        widths: Of the network.
        epochs: Of a run.
        every: Epochs from one measurement to the next.
    """

    workload: str
    widths: tuple[int, ...]
    epochs: int
    every: int
    batch_size: int
    rate: float = 0.02


TASKS = {
    "digits": Task("digits", (64, 128, 64, 10), 120, 4, 32),
    "mnist-10k": Task("mnist-10k", (784, 128, 64, 10), 40, 2, 64),
}


@dataclass(frozen=True)
class Examples:
    """Inputs (n, d) and labels (n,)."""

    inputs: Tensor
    labels: Tensor

    def part(self, index: Tensor) -> Examples:
        """Some of them."""
        return Examples(self.inputs[index], self.labels[index])

    def probe(self) -> Probe:
        """A probe of 1,000, or of all where there are fewer."""
        return Probe.sample((self.inputs, self.labels), min(PROBE, len(self.labels)))


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description="VECA and the test loss")
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    path = RESULTS / f"{NAME}.jsonl"
    every = itertools.product(arguments.seeds, arguments.tasks, LABELS, DECAYS, ("constant", "infopace"))
    for seed, task, labels, decay, method in every:
        key = {"seed": seed, "task": task, "labels": labels, "decay": decay, "method": method}
        if any(all(row[name] == value for name, value in key.items()) for row in read(path)):
            continue
        row = {**key, "points": run(TASKS[task], labels, decay, seed, method)}
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
        last = row["points"][-1]
        print(*key.values(), f"epoch {last['epoch']}, loss {last['test_loss']}, {last['test']}", flush=True)


def run(task: Task, labels: str, decay: float, seed: int, method: str) -> list[dict[str, Any]]:
    """What was measured at each point of a run: at a constant rate, or of a rate paced by infopace at the end only."""
    train, held_out, test = examples_of(task, LABELS[labels], seed)
    torch.manual_seed(seed)
    model = mlp(*task.widths)
    optimizer = torch.optim.SGD(model.parameters(), task.rate, momentum=0.9, weight_decay=decay)
    probe = train.probe()
    draws = torch.Generator().manual_seed(seed)
    if method == "infopace":
        return paced(task, model, optimizer, train, held_out, test, draws)
    looks = Looks(probe, held_out.probe(), train, test)
    points = [looks.at(0, model)]
    for epoch in range(1, task.epochs + 1):
        one_epoch(model, optimizer, train, task.batch_size, draws)
        if epoch % task.every == 0:
            points.append(looks.at(epoch, model))
    return points


def paced(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    held_out: Examples,
    test: Examples,
    draws: torch.Generator,
) -> list[dict[str, Any]]:
    """infopace's own rule on the same examples: where it ends."""
    scheduler = MutualInformationLR(
        optimizer,
        model,
        train.probe(),
        policy=HoldAndDecay(task.epochs),
        held_out=held_out.probe(),
        steps_per_epoch=-(-len(train.labels) // task.batch_size),
    )
    epoch = 0
    while epoch < task.epochs and not scheduler.finished:
        one_epoch(model, optimizer, train, task.batch_size, draws)
        scheduler.observe()
        scheduler.step()
        epoch += 1
    return [{"epoch": epoch, **tested(model, test)}]


class Looks:
    """Everything that is measured at a point of a run."""

    def __init__(self, probe: Probe, held_out: Probe, train: Examples, test: Examples) -> None:
        self.train, self.test = train, test
        self.held_out = held_out
        self.spread = ActivationSpread(probe)
        self.probe, self.some = probe, probe.inputs[:NOISY]

    def at(self, epoch: int, model: nn.Module) -> dict[str, Any]:
        """The numbers after an epoch, to four places that count."""
        measured = self.probe.measure(model, layers=[LAST_HIDDEN], std_error=False)
        with torch.no_grad():
            hidden = nn.Sequential(*list(model.children())[: int(LAST_HIDDEN) + 1])(self.some)
        found = {
            **tested(model, self.test),
            "train_loss": tested(model, self.train)["test_loss"],
            **self.spread(model),
            "inputs": information_through_noise(hidden, NOISE, draws=1).nats,
            "targets": measured[LAST_HIDDEN].estimate.nats,
            "output": measured.output.estimate.nats,
            "held_out": self.held_out.measure(model, std_error=False).output.estimate.nats,
        }
        return {"epoch": epoch, **{name: float(f"{value:.4g}") for name, value in found.items()}}


@torch.no_grad()
def tested(model: nn.Module, examples: Examples) -> dict[str, float]:
    """The loss in nats and the accuracy."""
    scores = model(examples.inputs)
    right = float((scores.argmax(1) == examples.labels).double().mean())
    return {"test_loss": round(float(cross_entropy(scores, examples.labels)), 5), "test": round(right, 5)}


def one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, train: Examples, size: int, draws: torch.Generator
) -> None:
    """Train on all examples once."""
    for batch in torch.randperm(len(train.labels), generator=draws).split(size):
        optimizer.zero_grad()
        cross_entropy(model(train.inputs[batch]), train.labels[batch]).backward()
        optimizer.step()


def examples_of(task: Task, wrong: float, seed: int) -> Iterable[Examples]:
    """Training examples, of which some have a wrong label; a tenth of them, held out; test examples, all right."""
    workload = find_workload(task.workload)
    data = workload.load()
    assert isinstance(data.train_inputs, Tensor), "data in memory"
    assert isinstance(data.test_inputs, Tensor), "data in memory"
    assert workload.prepare is not None, "pixels"
    labels, draws = data.train_targets.clone(), torch.Generator().manual_seed(1_000 + seed)
    n = len(labels)
    chosen = torch.randperm(n, generator=draws)[: round(wrong * n)]
    labels[chosen] = (labels[chosen] + torch.randint(1, 10, chosen.shape, generator=draws)) % 10
    every = Examples(workload.prepare(data.train_inputs).flatten(1), labels)
    order = torch.randperm(n, generator=draws)
    out = round(HELD_OUT * n)
    yield every.part(order[out:])
    yield every.part(order[:out])
    yield Examples(workload.prepare(data.test_inputs).flatten(1), data.test_targets)


if __name__ == "__main__":
    main()
