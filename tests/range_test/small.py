"""A real model small enough for a range test in a second."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from infopace import Probe, RangeTest, find_bounds, layer_groups
from infopace.range_test import Race


def clouds() -> tuple[Tensor, Tensor]:
    """Three overlapping clouds in four dimensions, the same every time."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(120) % 3
    return 2.0 * torch.eye(3, 4)[labels] + torch.randn(120, 4, generator=generator), labels


def small_net() -> nn.Module:
    """One hidden layer, and dropout: it draws random numbers in every batch."""
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def small_test(**options: Any) -> RangeTest:
    """A range test of the net on the clouds, with two trials; options as for `find_bounds`, or model=."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = options.pop("model", None) or small_net()
    loader = DataLoader(TensorDataset(*clouds()), batch_size=16, shuffle=True)
    groups = layer_groups(model) if options.get("layer_wise") else model.parameters()
    build = options.pop("optimizer", None)
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9) if build is None else build(groups)
    settings = {"epochs": 20, "fresh": small_net, "method": Race(trials=2), **options}
    loss = settings.pop("loss", F.cross_entropy)
    probe = settings.pop("probe", None) or Probe(*clouds())
    return find_bounds(model, optimizer, loss, settings.pop("batches", loader), probe, **settings)
