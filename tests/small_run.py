"""A small run under the scheduler, with everything that a user's loop has."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, Vasudevan2020, layer_groups
from infopace.probe import Measuring

from .policies.every import EVERY

BOUNDS = Bounds(1e-3, 0.2)
MEASURING = Measuring(layers="all", std_error=False)  # no policy reads error bars
EPOCHS = 6
KEPT = 520  # of 600 examples; the others may be held out
POLICY = Vasudevan2020(epochs=EPOCHS)
OURS = "HoldAndDecay"
OTHERS = [name for name, policy in EVERY.items() if type(policy) is not type(POLICY)]


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(600, 8, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, in all their tensors too."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


class Run:
    """A model, an optimizer, a scheduler and epochs to train."""

    def __init__(self, layer_wise: bool, policy: str | None = None, *, held_out: bool = False) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        params = layer_groups(self.model) if layer_wise else self.model.parameters()
        self.optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.9)
        probe = Probe.sample(data(), 200)
        held_out_probe = None
        if held_out:
            inputs, labels = data()
            held_out_probe = Probe(inputs[KEPT:], labels[KEPT:])
        rule = POLICY if policy is None else EVERY[policy]
        # The published rules read neighbours in hidden layers too.
        published = policy is not None and not isinstance(rule, HoldAndDecay)
        measuring = MEASURING.replace(hidden="neighbours") if published else MEASURING
        self.scheduler = MutualInformationLR(
            self.optimizer, self.model, probe, BOUNDS, rule, held_out=held_out_probe, measuring=measuring
        )
        self.trained_on: list[int] = []

    def epoch(self, number: int) -> None:
        inputs, labels = data()
        n = KEPT if self.scheduler.holds_out else 600
        self.trained_on.append(n)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(number))
        for batch in order.split(50):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs[batch]), labels[batch]).backward()
            self.optimizer.step()
        self.scheduler.observe()

    def spare_step(self) -> None:
        """One optimizer step, as an epoch that is as short as can be."""
        self.optimizer.zero_grad()
        inputs, labels = data()
        nn.functional.cross_entropy(self.model(inputs), labels).backward()
        self.optimizer.step()

    def rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]


def trained_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs, labels = data()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()


@functools.cache
def trained(layer_wise: bool, policy: str | None) -> tuple[Run, list[list[float]]]:
    """A run after all epochs, for tests that only read it, and the rates at first and after each epoch."""
    run = Run(layer_wise, policy)
    applied = [run.rates()]
    for number in range(EPOCHS):
        run.epoch(number)
        run.scheduler.step()
        applied.append(run.rates())
        assert run.scheduler.get_last_lr() == applied[-1]
    return run, applied
