"""The network in blocks, and the two ways to train a part of it."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.lab.data import stratified_subset
from infopace.lab.workloads.cifar10 import STANDARDISE, load_cifar10
from infopace.lab.workloads.small_cifar10 import SmallResNet

BATCH = 50
# Of stage or run; the rule ends nearly all before.
MOST_EPOCHS = 40
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Images:
    """What is trained on, held out and tested on: images, or what frozen blocks make of them, and labels."""

    train: Examples
    held_out: Examples
    test: Examples

    def through(self, block: nn.Module) -> Images:
        """The outputs of a block in evaluation mode, so that batch norm takes the statistics that it has."""
        return Images(*((_outputs(block, x), y) for x, y in (self.train, self.held_out, self.test)))


@cache
def images() -> Images:
    """1,500 and 500 training images of CIFAR-10, stratified together, and 2,000 test images, of 16 x 16."""
    data = stratified_subset(load_cifar10(), 2_000, tests=2_000)
    draws = torch.randperm(2_000, generator=torch.Generator().manual_seed(0))
    parts = [
        (data.train_inputs[index], data.train_targets[index]) for index in (draws[:1_500], draws[1_500:])
    ]
    parts.append((data.test_inputs[:], data.test_targets))
    return Images(*((F.avg_pool2d(STANDARDISE(x), 2), y) for x, y in parts))


def blocks() -> list[nn.Module]:
    """The three blocks of a ResNet-8 with fresh weights; its first convolution belongs to the first."""
    net = SmallResNet()
    first, second, third = net.blocks
    return [nn.Sequential(net.conv, net.norm, nn.ReLU(), first), second, third]


def with_head(*parts: nn.Module) -> nn.Sequential:
    """Blocks, the mean over the pixels, and a linear layer: a proxy, or the head of the whole."""
    convolutions = [part for block in parts for part in block.modules() if isinstance(part, nn.Conv2d)]
    channels = convolutions[-1].out_channels
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def accuracy(model: nn.Module, examples: Examples) -> float:
    """The share of right answers, in evaluation mode."""
    return (_outputs(model, examples[0]).argmax(1) == examples[1]).float().mean().item()


@torch.no_grad()
def _outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    model.eval()
    found = torch.cat([model(part) for part in inputs.split(500)])
    model.train()
    return found


def _epoch(model: nn.Module, optimizer: torch.optim.Optimizer, examples: Examples) -> Iterator[None]:
    """Train one epoch; yields before each step."""
    inputs, labels = examples
    for index in torch.randperm(len(labels)).split(BATCH):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[index]), labels[index]).backward()
        yield
        optimizer.step()


def sgd(model: nn.Module, lr: float) -> torch.optim.SGD:
    """The optimizer of all runs."""
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4)


@dataclass(frozen=True)
class Paced:
    """How a part was trained by the rule.

    Attributes:
        epochs: Passes over the training examples, trials included.
        rate: The rate that was held last.
        held_out: Information about the held-out examples, in nats, for as long as they were measured.
        why: Why the hold ended.
    """

    epochs: int
    rate: float
    held_out: list[float]
    why: str


def train_paced(model: nn.Module, data: Images) -> Paced:
    """Train until the rule is over: information about the held-out examples ends the hold, and so the run."""
    optimizer = sgd(model, 1e-3)
    scheduler = MutualInformationLR(
        optimizer,
        model,
        Probe.sample(data.train),
        policy=HoldAndDecay(MOST_EPOCHS, stop_early=True),
        held_out=Probe(*data.held_out),
        steps_per_epoch=math.ceil(len(data.train[1]) / BATCH),
    )
    model.train()
    epochs = 0
    while not scheduler.finished:
        for _ in _epoch(model, optimizer, data.train):
            pass
        epochs += 1
        scheduler.observe()
        scheduler.step()
    decisions = [of_groups[0] for of_groups in scheduler.decisions]
    holds = [one.lr for one in decisions if one.phase == "hold"]
    ends = [
        now.reason
        for before, now in itertools.pairwise(decisions)
        if (before.phase, now.phase) == ("hold", "decay")
    ]
    known = [round(nats, 4) for nats in scheduler.held_out_history["output"]]
    return Paced(epochs, holds[-1], known, ends[-1] if ends else "the plan is over")


def train_planned(model: nn.Module, data: Images, epochs: int, lr: float, *, cosine: bool) -> None:
    """Train for so many epochs at a rate that falls to 0 after the last batch, as a cosine or linearly."""
    optimizer = sgd(model, lr)
    steps, step = epochs * math.ceil(len(data.train[1]) / BATCH), 0
    model.train()
    for _ in range(epochs):
        for _ in _epoch(model, optimizer, data.train):
            over = step / steps
            optimizer.param_groups[0]["lr"] = lr * (
                (1 + math.cos(math.pi * over)) / 2 if cosine else 1 - over
            )
            step += 1


class Work:
    """Floating-point operations of a model's convolutions and linear layers while this is open.

    A hook counts the examples that pass: in training mode for a forward and a backward pass, else for a forward pass.

    Args:
        model: What is trained, or only run.
        inputs: Some of its inputs, on which the operations of an example are counted.
    """

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        self._model, self._examples = model, {True: 0, False: 0}
        self._of_one = {
            trained: _operations(model, inputs[:BATCH], trained=trained) for trained in (True, False)
        }

    def __enter__(self) -> Work:
        self._hook = self._model.register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *error: object) -> None:
        self._hook.remove()

    def _count(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._examples[model.training] += len(inputs[0])

    def of_training(self, examples: int) -> float:
        """What it takes to train on so many examples."""
        return self._of_one[True] * examples

    def of_passing(self, examples: int) -> float:
        """What it takes to run so many examples forward."""
        return self._of_one[False] * examples

    @property
    def total(self) -> float:
        """What was counted so far."""
        return sum(self._of_one[trained] * n for trained, n in self._examples.items())


def _operations(model: nn.Module, some: Tensor, *, trained: bool) -> float:
    """Of one example; a copy of the model is run, so that batch norm keeps its statistics."""
    model = copy.deepcopy(model)
    with FlopCounterMode(display=False) as counter:
        if trained:
            model(some).sum().backward()
        else:
            with torch.no_grad():
                model(some)
    return counter.get_total_flops() / len(some)
