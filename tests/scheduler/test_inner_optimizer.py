"""An optimizer inside another, which has the momentum: it is rolled back and set aside too."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from infopace import Probe, find_bounds
from infopace.range_test import Race

from .test_roll_back import OPTIMIZERS, contents, data, equal, net, scheduled, train

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of its import
    from torch.distributed.optim import ZeroRedundancyOptimizer


class Outer(torch.optim.Optimizer):
    """A wrapper with a state of its own, which holds the optimizer that takes the steps, in a list or not."""

    def __init__(self, inner: torch.optim.Optimizer, *, listed: bool) -> None:
        super().__init__(inner.param_groups, {})
        self.inner = [inner] if listed else inner

    def step(self, closure: Any = None) -> Any:
        for weight in self.param_groups[0]["params"]:
            self.state[weight]["seen"] = self.state[weight].get("seen", 0) + 1
        inner = self.inner[0] if isinstance(self.inner, list) else self.inner
        return inner.step(closure)


@pytest.mark.parametrize("listed", [False, True])
def test_what_an_optimizer_inside_another_remembers_is_put_back(listed: bool) -> None:
    model = net()
    inner = OPTIMIZERS["adam"](model.parameters())
    outer = Outer(inner, listed=listed)
    scheduler = scheduled(model, outer)
    train(model, outer)
    scheduler.observe()
    before = contents(model, inner), contents(model, outer)
    train(model, outer, spoiled=True)
    scheduler.observe()
    assert scheduler.rolled_back == [2]
    assert equal((contents(model, inner), contents(model, outer)), before)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="no gloo")
@pytest.mark.parametrize("buckets", [False, True])
def test_a_sharded_optimizer_s_momentum_is_put_back(one_process: None, buckets: bool) -> None:
    model = net()
    optimizer = ZeroRedundancyOptimizer(
        model.parameters(), torch.optim.SGD, parameters_as_bucket_view=buckets, lr=0.1, momentum=0.9
    )
    scheduler = scheduled(model, optimizer)
    train(model, optimizer)
    scheduler.observe()
    scheduler.step()
    before = contents(model, optimizer.optim)
    assert len(before[1]) == 6, "momentum of six weights"
    train(model, optimizer, spoiled=True)
    scheduler.observe()
    scheduler.step()
    assert scheduler.rolled_back == [2]
    assert equal(contents(model, optimizer.optim), before)
    assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="no gloo")
def test_a_range_test_puts_back_what_a_sharded_optimizer_remembers(one_process: None) -> None:
    model = net()
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    scheduler = scheduled(model, optimizer)
    train(model, optimizer)
    scheduler.observe()
    before = contents(model, optimizer.optim)
    inputs, labels = data()
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))
    find_bounds(
        model, optimizer, F.cross_entropy, batches, Probe.sample(data(), 200), epochs=2, method=Race(trials=1)
    )
    assert not scheduler.can_roll_back
    assert equal(contents(model, optimizer.optim), before)
