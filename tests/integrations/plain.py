"""Digits, a small network, and the loop without a framework that the adapters are compared with."""

from __future__ import annotations

import functools
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from infopace import HoldAndDecay, MutualInformationLR, Probe

EPOCHS, EXAMPLES, BATCH = 12, 480, 48
STEPS = EXAMPLES // BATCH


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    inputs, labels = load_digits(return_X_y=True)
    return torch.from_numpy(inputs / 16).float()[:EXAMPLES], torch.from_numpy(labels)[:EXAMPLES]


def small_probe() -> Probe:
    return Probe.sample(digits(), 200)


def held_out_probe() -> Probe:
    """Of examples that are not in `digits`."""
    inputs, labels = load_digits(return_X_y=True)
    return Probe(torch.from_numpy(inputs[EXAMPLES:] / 16).float(), torch.from_numpy(labels[EXAMPLES:]))


def small_net(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(32)] if norm else []
    return nn.Sequential(nn.Linear(64, 32), *middle, nn.ReLU(), nn.Linear(32, 10))


class Shuffled(DataLoader[Any]):
    """Its order depends on the seed and the epoch alone, and it goes on from a batch in the middle of an epoch."""

    def __init__(self, batch: int = BATCH) -> None:
        super().__init__(TensorDataset(*digits()), batch_size=batch)
        self.epoch, self.first = 0, 0

    def __iter__(self) -> Any:
        order = torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(self.epoch))
        inputs, labels = digits()
        batches = order.split(self.batch_size or BATCH)
        for number in range(self.first, len(batches)):
            ends = number + 1 == len(batches)
            self.epoch, self.first = (self.epoch + 1, 0) if ends else (self.epoch, number + 1)
            yield [inputs[batches[number]], labels[batches[number]]]

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "first": self.first}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.first = state["epoch"], state["first"]


class PlainRun:
    """A run without a framework."""

    def __init__(self, model: nn.Module | None = None, optimizer: Any = None, **options: Any) -> None:
        self.model = small_net() if model is None else model
        self.optimizer = sgd(self.model) if optimizer is None else optimizer
        if "every" not in options:
            options = {"policy": HoldAndDecay(EPOCHS), "steps_per_epoch": STEPS, **options}
        self.scheduler = MutualInformationLR(self.optimizer, self.model, small_probe(), **options)

    def train(
        self, epochs: int = EPOCHS, *, accumulate: int = 1, clip: float | None = None, closure: bool = False
    ) -> PlainRun:
        """`closure`: the gradients are computed inside of the optimizer's step, as in Lightning."""
        loader = Shuffled(BATCH // accumulate)
        for _ in range(epochs):
            for number, (inputs, labels) in enumerate(loader, 1):
                if closure:
                    self.optimizer.step(functools.partial(self.gradients, inputs, labels))
                    continue
                loss = nn.functional.cross_entropy(self.model(inputs), labels) / accumulate
                loss.backward()
                if number % accumulate == 0:
                    if clip is not None:
                        groups = self.optimizer.param_groups
                        nn.utils.clip_grad_norm_([one for group in groups for one in group["params"]], clip)
                    self.optimizer.step()
                    self.optimizer.zero_grad()
            if self.scheduler.unit is None:
                self.scheduler.observe()
                self.scheduler.step()
            if self.scheduler.finished:
                break
        return self

    def gradients(self, inputs: Tensor, labels: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(inputs), labels)
        loss.backward()
        return loss


def sgd(model: nn.Module) -> torch.optim.SGD:
    """Two groups at a ratio."""
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    others = [weight for weight in model.parameters() if weight.ndim != 2]
    return torch.optim.SGD([{"params": matrices}, {"params": others, "lr": 0.02}], lr=0.1, momentum=0.9)
