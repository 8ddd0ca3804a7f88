"""find_bounds with several optimizers of one model: as one optimizer of all weights, and all put back."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from infopace import Probe, RangeTest, find_bounds
from infopace.range_test import Algorithm2
from infopace.scheduler import Optimizers

DRAWS = torch.Generator().manual_seed(3)
LABELS = torch.arange(120) % 3
INPUTS = 2.0 * torch.eye(3, 4)[LABELS] + torch.randn(120, 4, generator=DRAWS)
BATCHES = list(zip(INPUTS.split(16), LABELS.split(16), strict=True))


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def sgd(weights: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.1, momentum=0.9)


def found(model: nn.Module, optimizer: Any) -> RangeTest:
    method = Algorithm2(trials=1, epochs=3, rates=Algorithm2.grid(0.001, 0.5))
    probe = Probe(INPUTS, LABELS)
    return find_bounds(
        model, optimizer, F.cross_entropy, BATCHES, probe, epochs=20, method=method, attribute="loss"
    )


def test_two_optimizers_are_tested_as_one_of_all_weights() -> None:
    whole, parted, listed = net(), net(), net()
    one = found(whole, sgd(whole.parameters()))
    as_one = found(parted, Optimizers([sgd(parted[0].parameters()), sgd(parted[2].parameters())]))  # pyright: ignore[reportIndexIssue]
    in_a_list = found(listed, [sgd(listed[0].parameters()), sgd(listed[2].parameters())])  # pyright: ignore[reportIndexIssue]
    for other in (as_one, in_a_list):
        assert other.bounds == one.bounds
        pairs = zip(one.table, other.table, strict=True)
        assert all(row == same for row, same in pairs)


def test_their_states_and_rates_are_put_back() -> None:
    model = net()
    adam = torch.optim.AdamW(model[0].parameters(), lr=0.01)  # pyright: ignore[reportIndexIssue]
    momentum = sgd(model[2].parameters())  # pyright: ignore[reportIndexIssue]
    for one in (adam, momentum):
        one.zero_grad()
    F.cross_entropy(model(INPUTS), LABELS).backward()
    for one in (adam, momentum):
        one.step()
    before = [
        {name: value.clone() for name, value in state.items() if isinstance(value, torch.Tensor)}
        for one in (adam, momentum)
        for state in one.state.values()
    ]
    weights = [weight.detach().clone() for weight in model.parameters()]
    found(model, [adam, momentum])
    after = [state for one in (adam, momentum) for state in one.state.values()]
    assert len(before) == len(after) == 4
    for kept, now in zip(before, after, strict=True):
        assert kept and all(torch.equal(value, now[name]) for name, value in kept.items())
    assert all(torch.equal(old, new) for old, new in zip(weights, model.parameters(), strict=True))
    assert (adam.param_groups[0]["lr"], momentum.param_groups[0]["lr"]) == (0.01, 0.1)
