"""A small run that finds its learning rate, for the tests of the search and of what follows it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from infopace import HoldAndDecay, MutualInformationLR, Policy, Probe, layer_groups
from infopace.probe import Measuring

from ..small_run import data

STEPS = 1400  # trials of 20 steps
MEASURING = Measuring(std_error=False)


class Loop:
    """A step-based loop that knows of no scheduler, or epochs of `epoch` steps that observe."""

    def __init__(
        self,
        lr: float = 0.1,
        *,
        policy: Policy | None = None,
        every: int | str | None = 20,
        labels: torch.Tensor | None = None,
        optimizer: str = "SGD",
        held_out: bool = False,
        layer_wise: bool = False,
        **options: Any,
    ) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        extra = {"momentum": 0.9} if optimizer == "SGD" else {}
        groups = layer_groups(self.model) if layer_wise else self.model.parameters()
        self.optimizer = getattr(torch.optim, optimizer)(groups, lr=lr, **extra)
        self.inputs, known = data()
        self.labels = known if labels is None else labels
        self.scheduler = MutualInformationLR(
            self.optimizer,
            self.model,
            Probe(self.inputs[:200], self.labels[:200]),
            policy=HoldAndDecay(steps=STEPS) if policy is None else policy,
            held_out=Probe(self.inputs[500:], self.labels[500:]) if held_out else None,
            every=every,
            measuring=MEASURING if not layer_wise else MEASURING.replace(layers="all"),
            **options,
        )
        self.rates: list[float] = []
        self.finding: list[bool] = []
        self.step = 0

    def train(self, steps: int, scale: float = 1.0) -> None:
        for _ in range(steps):
            self.finding.append(self.scheduler.finding)
            order = torch.randperm(500, generator=torch.Generator().manual_seed(self.step))[:50]
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(self.inputs[order]), self.labels[order])
            (scale * loss).backward()
            handle = self.optimizer.register_step_pre_hook(lambda *_: self.rates.append(self.rate))
            self.optimizer.step()
            handle.remove()
            self.step += 1

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def weights(self) -> torch.Tensor:
        return torch.cat([one.detach().flatten().clone() for one in self.model.state_dict().values()])


def found(loop: Loop) -> Any:
    assert loop.scheduler._search is not None
    return loop.scheduler._search.finding
