"""A range test of a model that several processes train."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import fully_shard

from infopace import Bounds, Probe, find_bounds
from infopace.model import processes_of
from infopace.range_test import Race

from ..team import Team


def bounds(kind: str) -> Bounds:
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(240, 6, generator=draws)
    labels = (inputs[:, 0] > 0).long()
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    if kind == "DDP":
        model = nn.parallel.DistributedDataParallel(model)
    if kind == "FSDP":
        fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = list(zip(inputs.split(24), labels.split(24), strict=True))
    probe = Probe(inputs, labels)

    def find() -> Bounds:
        method = Race(trials=1)
        return find_bounds(
            model, optimizer, nn.functional.cross_entropy, batches, probe, epochs=4, method=method
        ).bounds

    return processes_of(model).from_first("the bounds", find) if kind == "plain" else find()


@pytest.mark.parametrize("kind", ["DDP", "FSDP"])
def test_a_model_of_several_processes_is_refused(four: Team, kind: str) -> None:
    for answer in four.answers(bounds, kind):
        assert isinstance(answer.error, ValueError)
        assert str(answer.error).startswith(
            "find_bounds needs a model that one process trains, got one of 4; "
        )


def test_bounds_that_rank_0_finds_are_those_of_all(four: Team) -> None:
    found = four.run(bounds, "plain")
    assert found == [found[0]] * 4 and isinstance(found[0], Bounds)
