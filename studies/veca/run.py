"""VECA, VOVU, the plane and the loss, epoch by epoch; see README.md. Rows: results/veca.jsonl

One loop records all that `studies/when_to_stop` needs, too.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.diagnostics import ActivationSpread, information_through_noise
from infopace.lab.environment import set_determinism
from infopace.lab.workload import Data, Workload
from infopace.lab.workloads import find_workload
from studies.shared.rows import RESULTS, read

NAME = "veca"
LABELS = {"clean": 0.0, "wrong": 0.3}
DECAYS = (0.0, 0.005)
SEEDS = range(5)
RATE, MOMENTUM, HELD_OUT = 0.02, 0.9, 0.1
# Examples on which the last hidden layer is measured, and the noise of I(X; T + N).
PROBE, NOISE = 500, 1.0


@dataclass(frozen=True)
class Task:
    """A data set with a network for it, trained by SGD with momentum at a constant rate.

    Attributes:
        widths: Of the network.
        epochs: Of a run.
        every: Epochs from one measurement to the next.
        pooled: Whether each two by two pixels are averaged.
        train: Training examples at most, the held-out ones among them.
        test: Test examples at most.
    """

    workload: str
    widths: tuple[int, ...]
    epochs: int
    every: int
    batch_size: int
    pooled: bool = False
    train: int = 4_000
    test: int = 2_000


TASKS = {
    "digits": Task("digits", (64, 128, 64, 10), 120, 4, 32),
    "mnist-10k": Task("mnist-10k", (196, 128, 64, 10), 40, 2, 64, pooled=True),
}
Key = tuple[str, float, int]  # labels, weight decay, seed


@dataclass(frozen=True)
class Examples:
    """Inputs (n, d) and labels (n,)."""

    inputs: Tensor
    labels: Tensor

    def part(self, index: Tensor) -> Examples:
        """Some of them."""
        return Examples(self.inputs[index], self.labels[index])

    def probe(self) -> Probe:
        """A probe of 500, or of all where there are fewer."""
        return Probe.sample((self.inputs, self.labels), min(PROBE, len(self.labels)))


def main() -> None:
    """Make the rows that are missing: those at a constant rate of a task together, those of infopace one by one."""
    parser = argparse.ArgumentParser(description="VECA and the test loss")
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    set_determinism(1, torch.device("cpu"))
    path = RESULTS / f"{NAME}.jsonl"
    done = {(r["task"], r["method"], r["labels"], r["decay"], r["seed"]) for r in read(path)}

    def keep(task: str, method: str, key: Key, points: list[dict[str, Any]]) -> None:
        labels, decay, seed = key
        row = {
            "task": task,
            "method": method,
            "labels": labels,
            "decay": decay,
            "seed": seed,
            "points": points,
        }
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(task, method, *key, f"epoch {points[-1]['epoch']}, {points[-1]['test']}", flush=True)

    keys = [(labels, decay, seed) for seed in arguments.seeds for decay in DECAYS for labels in LABELS]
    for name in arguments.tasks:
        missing = [key for key in keys if (name, "constant", *key) not in done]
        for key, points in at_constant_rate(TASKS[name], missing).items() if missing else ():
            keep(name, "constant", key, points)
    for key in keys:
        for name in arguments.tasks:
            if (name, "infopace", *key) not in done:
                keep(name, "infopace", key, paced(TASKS[name], key))


def at_constant_rate(
    task: Task, keys: list[Key], looks_of: type[Looks] | None = None
) -> dict[Key, list[dict[str, Any]]]:
    """What was measured in runs at a constant rate, which are trained side by side: each has weights of its own.

    `looks_of` says what is measured, by default all that `Looks` has.
    """
    data = {key: examples_of(task, LABELS[key[0]], key[2]) for key in keys}
    models = {key: model_of(task, key[2]) for key in keys}
    looks = {key: (looks_of or Looks)(*data[key]) for key in keys}
    orders = [torch.Generator().manual_seed(key[2]) for key in keys]
    layers = [place for place, part in enumerate(next(iter(models.values()))) if isinstance(part, nn.Linear)]
    weights = [
        torch.stack([getattr(model[place], name).detach() for model in models.values()]).requires_grad_()
        for place in layers
        for name in ("weight", "bias")
    ]
    optimizer = torch.optim.SGD(weights, RATE, momentum=MOMENTUM)
    decay = torch.tensor([key[1] for key in keys])
    inputs = torch.stack([data[key][0].inputs for key in keys])
    labels = torch.stack([data[key][0].labels for key in keys])
    each = torch.arange(len(keys))[:, None]
    points = {key: [looks[key].at(0, models[key])] for key in keys}
    for epoch in range(1, task.epochs + 1):
        shuffled = torch.stack([torch.randperm(labels.shape[1], generator=order) for order in orders])
        for batch in shuffled.split(task.batch_size, 1):
            optimizer.zero_grad()
            # The sum over runs, so that each has the gradients of its own mean loss.
            loss = cross_entropy(
                scores_of(weights, inputs[each, batch]).flatten(0, 1), labels[each, batch].flatten()
            )
            (len(keys) * loss).backward()
            for weight in weights:
                assert weight.grad is not None, "after the backward pass"
                weight.grad += decay.view(-1, *[1] * (weight.ndim - 1)) * weight.detach()
            optimizer.step()
        if epoch % task.every == 0:
            for number, (key, model) in enumerate(models.items()):
                own = [model[place] for place in layers]
                for place, weight in enumerate(weights):
                    getattr(own[place // 2], ("weight", "bias")[place % 2]).data.copy_(weight[number])
                points[key].append(looks[key].at(epoch, model))
    return points


def scores_of(weights: list[Tensor], inputs: Tensor) -> Tensor:
    """The scores (runs, n, classes) of inputs (runs, n, d)."""
    given = inputs
    for place in range(0, len(weights), 2):
        given = torch.baddbmm(
            weights[place + 1][:, None], given.relu() if place else given, weights[place].mT
        )
    return given


def model_of(task: Task, seed: int) -> nn.Sequential:
    """The network with the first weights of a seed."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for place, (d, e) in enumerate(itertools.pairwise(task.widths)):
        layers += [nn.Linear(d, e)] if place == 0 else [nn.ReLU(), nn.Linear(d, e)]
    return nn.Sequential(*layers)


def paced(task: Task, key: Key) -> list[dict[str, Any]]:
    """infopace's own rule on the same examples: where it ends."""
    train, held_out, test = examples_of(task, LABELS[key[0]], key[2])
    model, draws = model_of(task, key[2]), torch.Generator().manual_seed(key[2])
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM, weight_decay=key[1])
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
        for batch in torch.randperm(len(train.labels), generator=draws).split(task.batch_size):
            optimizer.zero_grad()
            cross_entropy(model(train.inputs[batch]), train.labels[batch]).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()
        epoch += 1
    return [{"epoch": epoch, **tested(model, test)}]


class Looks:
    """Everything that is measured at a point of a run."""

    def __init__(self, train: Examples, held_out: Examples, test: Examples) -> None:
        self.train, self.test = train, test
        self.probe, self.held_out = train.probe(), held_out.probe()
        self.spread = ActivationSpread(self.probe)

    def at(self, epoch: int, model: nn.Sequential) -> dict[str, Any]:
        """The numbers after an epoch, to four places that count."""
        last = str(len(model) - 2)
        measured = self.probe.measure(model, layers=[last], std_error=False)
        with torch.no_grad():
            hidden = model[:-1](self.probe.inputs)
        found = {
            **tested(model, self.test),
            "train_loss": tested(model, self.train)["test_loss"],
            **self.spread(model),
            "inputs": information_through_noise(hidden, NOISE, draws=1).nats,
            "targets": measured[last].estimate.nats,
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


@functools.cache
def loaded(workload: str) -> tuple[Workload, Data]:
    """The workload with its data."""
    found = find_workload(workload)
    return found, found.load()


def examples_of(task: Task, wrong: float, seed: int) -> tuple[Examples, Examples, Examples]:
    """Training examples, of which some have a wrong label; a tenth of them, held out; test examples, all right."""
    workload, data = loaded(task.workload)

    def pixels(images: object, n: int) -> Tensor:
        assert isinstance(images, Tensor), "data in memory"
        assert workload.prepare is not None, "pixels"
        found = workload.prepare(images[:n])
        return (avg_pool2d(found, 2) if task.pooled else found).flatten(1)

    labels, draws = data.train_targets[: task.train].clone(), torch.Generator().manual_seed(1_000 + seed)
    n = len(labels)
    chosen = torch.randperm(n, generator=draws)[: round(wrong * n)]
    labels[chosen] = (labels[chosen] + torch.randint(1, 10, chosen.shape, generator=draws)) % 10
    every = Examples(pixels(data.train_inputs, n), labels)
    order = torch.randperm(n, generator=draws)
    out = round(HELD_OUT * n)
    test = Examples(pixels(data.test_inputs, task.test), data.test_targets[: task.test])
    return every.part(order[out:]), every.part(order[:out]), test


if __name__ == "__main__":
    main()
