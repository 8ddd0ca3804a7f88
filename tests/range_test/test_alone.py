"""A candidate is a function of seed, trial and rate: what ran before it in the process leaves no trace in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from infopace import Probe, RangeTest, RangeTestError, find_bounds
from infopace.range_test import Algorithm2, Candidate, Race

from .small import clouds, small_net, small_test

QUICK = Algorithm2(trials=2, epochs=1, rates=(0.001, 0.03, 0.1, 3.0, 30.0), c1=100.0, retry=False)


class Stopped(Exception):
    """What stands for a kill."""


def resumed(folder: Path, after: int, **options: Any) -> RangeTest:
    """A test that is stopped behind some candidates, and gone on with by the same call in the same process."""
    left = after

    def stop(trial: int, candidate: Candidate) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Stopped

    with pytest.raises(Stopped):
        small_test(folder=folder, on_candidate=stop, **options)
    return small_test(folder=folder, **options)


def losses(found: RangeTest) -> list[list[float]]:
    return [[e.loss for c in trial.candidates for e in c.evaluations] for trial in found.trials]


def with_generators(kind: str, seed: int) -> DataLoader:
    data = TensorDataset(*clouds())
    sampler = RandomSampler(data, generator=torch.Generator().manual_seed(seed))
    if kind == "sampler":
        return DataLoader(data, batch_size=16, sampler=sampler)
    return DataLoader(data, batch_sampler=BatchSampler(sampler, 16, drop_last=False))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sampler", "batch_sampler"])
def test_a_sampler_with_its_own_generator_is_seeded_too(kind: str, tmp_path: Path) -> None:
    """It stands elsewhere at each start: the test must give the same all the same, also gone on with."""
    options: dict[str, Any] = {"method": QUICK, "attribute": "loss"}
    one = small_test(batches=with_generators(kind, 1), **options)
    assert losses(one) == losses(small_test(batches=with_generators(kind, 2), **options))
    assert losses(one) == losses(resumed(tmp_path, 3, batches=with_generators(kind, 3), **options))
    assert losses(one) != losses(small_test(batches=with_generators(kind, 1), seed=1, **options))


class Counting(nn.Module):
    """A buffer that state_dict leaves out, that training changes and the outputs depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()
        self.register_buffer("passes", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
        return self.net(x) + 0.01 * self.passes * torch.tensor([1.0, 0.0, 0.0])


def test_buffers_outside_the_state_dict_are_fresh_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"fresh": Counting, "method": QUICK, "attribute": "loss"}
    both = small_test(model=Counting(), **options)
    # The second trial first, with a model that has been trained before.
    used = Counting()
    used.passes += 500
    with pytest.raises(RangeTestError, match="1 of 2 trials are not finished"):
        small_test(model=used, folder=tmp_path, only=[1], **options)
    assert losses(small_test(model=used, folder=tmp_path, **options)) == losses(both)


def test_fresh_may_build_the_model_without_its_wrapper() -> None:
    options: dict[str, Any] = {"method": QUICK, "attribute": "loss"}
    found = small_test(model=nn.DataParallel(small_net()), **options)
    assert losses(found) == losses(small_test(**options))


def test_batch_normalisation_is_no_crash_where_running_statistics_lag() -> None:
    """Inputs far from 0: with the statistics of 64 steps at momentum .02 the model is bad in evaluation mode."""

    def net() -> nn.Module:
        return nn.Sequential(
            nn.Linear(4, 16, bias=False), nn.BatchNorm1d(16, momentum=0.02), nn.ReLU(), nn.Linear(16, 3)
        )

    inputs, labels = clouds()
    inputs = inputs + 30.0
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=16, shuffle=True)
    method = Race(trials=1)
    found = find_bounds(
        model, optimizer, F.cross_entropy, loader, Probe(inputs, labels), epochs=20, fresh=net, method=method
    )
    learned = [c for c in found.trials[0].completed if c.last.loss < 0.7 * c.first.loss]
    early = [c for c in learned if any(e.loss > c.first.loss for e in c.evaluations[1:-1])]
    assert early, "no candidate was behind the untrained model on its way: this test shows nothing"
    assert found.bounds.lr_top > 1e-3
