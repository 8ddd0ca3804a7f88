"""A forward pass in batches: no batch has one example alone."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Probe, RangeTestError, find_bounds
from infopace.range_test import Race


class Squeezing(nn.Module):
    """It loses its first dimension where that is 1, as many a model does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(8, 4)
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return self.layer(x).squeeze()


def examples(n: int) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(n, 8, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0).long()


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (257, None, [257]),
        (513, None, [256, 257]),
        (101, 50, [50, 51]),
        (102, 50, [50, 50, 2]),
        (100, 50, [50, 50]),
        (51, 50, [51]),
        (50, 50, [50]),
    ],
)
def test_a_single_last_example_joins_the_batch_before_it(
    n: int, batch_size: int | None, sizes: list[int]
) -> None:
    model = Squeezing()
    found = Probe(*examples(n)).measure(model, batch_size=batch_size).output.estimate.nats
    assert model.seen == sizes
    assert found == pytest.approx(
        Probe(*examples(n)).measure(model, batch_size=n).output.estimate.nats, abs=1e-3
    )


def test_a_range_test_of_a_small_probe_runs_two_examples_or_more_at_once() -> None:
    model, (inputs, labels) = Squeezing(), examples(200)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))
    probe = Probe(inputs[:19], labels[:19])
    with contextlib.suppress(RangeTestError):  # so small a probe may find nothing significant
        find_bounds(model, optimizer, F.cross_entropy, batches, probe, epochs=2, method=Race(trials=1))
    assert min(model.seen) == 2
