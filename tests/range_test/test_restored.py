"""A range test leaves no trace: everything it touches is put back, bit for bit."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, RandomSampler, TensorDataset

from infopace import Probe, RangeTestError, find_bounds
from infopace.range_test import Race
from infopace.range_test._restored import restored


def samples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(120) % 3
    return 2.0 * torch.eye(3, 4)[labels] + torch.randn(120, 4, generator=generator), labels


class Net(nn.Module):
    """Batch normalisation, dropout, a buffer that is replaced in every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes = self.passes + 1
        return self.last(F.dropout(F.relu(self.norm(self.first(x))), 0.1, self.training))


def trained() -> tuple[Net, torch.optim.Optimizer]:
    """A model in the middle of a training: momentum, gradients, running statistics."""
    torch.manual_seed(3)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    inputs, labels = samples()
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    model.first.bias.grad = None
    model.norm.eval()
    return model, optimizer


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    return copy.deepcopy(
        [
            dict(model.state_dict()),
            gradients,
            modes,
            optimizer.state_dict(),
            [
                part if isinstance(part, int | float | str) else part.tolist()
                for part in np.random.get_state()
            ],
            torch.get_rng_state(),
        ]
    )


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def run(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Any, **options: Any) -> Any:
    probe = Probe(*samples())
    settings = {"epochs": 2, "fresh": Net, "method": Race(trials=1), **options}
    return find_bounds(model, optimizer, F.cross_entropy, batches, probe, **settings)


@pytest.fixture
def batches() -> DataLoader:
    return DataLoader(TensorDataset(*samples()), batch_size=16, shuffle=True)


def test_model_optimizer_and_random_states(batches: DataLoader) -> None:
    model, optimizer = trained()
    np.random.seed(2)
    before = everything(model, optimizer)
    identities = [id(p) for p in model.parameters()] + [id(optimizer.state), id(model.passes)]
    found = run(model, optimizer, batches)
    assert found.steps > 0
    assert equal(before, everything(model, optimizer))
    assert identities == [id(p) for p in model.parameters()] + [id(optimizer.state), id(model.passes)]


class Filling(nn.Module):
    """A buffer that the first pass makes, and an expanded one, which cannot be written to."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()
        self.register_buffer("mean", None)
        self.register_buffer("mask", torch.ones(1).expand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is None:
            self.mean = x.mean(0).detach()
        return self.net(torch.mul(x - self.mean, self.get_buffer("mask")))


class Counting(nn.Module):
    """A loss with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.get_buffer("calls").add_(1)
        return F.cross_entropy(outputs, targets)


@pytest.mark.parametrize("fresh", [None, Filling])
def test_buffers_of_every_kind_and_those_of_the_loss(batches: DataLoader, fresh: Any) -> None:
    torch.manual_seed(0)
    model, loss = Filling(), Counting()
    F.cross_entropy(model.net(samples()[0]), samples()[1]).backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    before = everything(model, optimizer)
    find_bounds(
        model, optimizer, loss, batches, Probe(*samples()), epochs=2, fresh=fresh, method=Race(trials=1)
    )
    assert equal(before, everything(model, optimizer))
    assert model.mean is None
    assert float(loss.get_buffer("calls")) == 0


def test_a_list_of_batches_and_a_model_that_begins_in_place() -> None:
    class InPlace(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x -= 1.0
            return super().forward(x)

    model, (inputs, labels) = InPlace(), samples()
    given = inputs.clone()
    loaded = list(zip(inputs.split(16), labels.split(16), strict=True))
    assert run(model, torch.optim.SGD(model.parameters(), lr=0.1), loaded, fresh=InPlace).steps > 0
    assert torch.equal(inputs, given)


def test_pythons_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, and without the type checks, which draw from it, under pytest only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model, optimizer = trained()
    keep = restored(model, optimizer, Ordered())
    before = random.getstate()
    with keep:
        random.seed(99)
    assert random.getstate() == before


def test_after_a_refusal_and_after_an_error_too(batches: DataLoader) -> None:
    model, optimizer = trained()
    before = everything(model, optimizer)
    with pytest.raises(RangeTestError, match=r"every candidate from 0\.0001 down"):
        run(model, optimizer, batches, method=Race(trials=1, low=1e-6, high=1e-4))

    def broken(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(targets) == 16:
            raise KeyError("in the middle")
        return F.cross_entropy(outputs, targets)

    with pytest.raises(KeyError):
        find_bounds(model, optimizer, broken, batches, Probe(*samples()), epochs=2, fresh=Net)
    assert equal(before, everything(model, optimizer))


def test_a_training_with_a_range_test_in_front_ends_with_the_same_bits(batches: DataLoader) -> None:
    def train(test: bool) -> dict[str, torch.Tensor]:
        model, optimizer = trained()
        torch.manual_seed(11)
        if test:
            run(model, optimizer, batches)
        model.train()
        for inputs, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        return model.state_dict()

    assert equal(dict(train(False)), dict(train(True)))


@pytest.mark.slow
def test_generators_of_loader_and_sampler_and_the_epoch_of_a_distributed_one() -> None:
    data = TensorDataset(*samples())
    own = torch.Generator().manual_seed(5)
    inner = torch.Generator().manual_seed(6)
    loader = DataLoader(data, batch_size=16, sampler=RandomSampler(data, generator=inner), generator=own)
    before = own.get_state(), inner.get_state()
    model, optimizer = trained()
    run(model, optimizer, loader)
    assert equal(before, (own.get_state(), inner.get_state()))

    sampler = DistributedSampler(data, num_replicas=1, rank=0)
    sampler.set_epoch(4)
    run(model, optimizer, DataLoader(data, batch_size=16, sampler=sampler))
    assert sampler.epoch == 4


class Noisy(TensorDataset):
    """It augments with a generator of its own, as numpy advises."""

    def __init__(self) -> None:
        super().__init__(*samples())
        self.rng = np.random.default_rng(0)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        inputs, label = super().__getitem__(index)
        return inputs + 0.1 * torch.tensor(self.rng.normal(size=4), dtype=torch.float32), label


@pytest.mark.slow
def test_the_generator_that_a_data_set_keeps() -> None:
    data = Noisy()
    before = data.rng.bit_generator.state
    model, optimizer = trained()
    found = [run(model, optimizer, DataLoader(data, batch_size=16, shuffle=True)).bounds for _ in range(2)]
    assert data.rng.bit_generator.state == before
    data.rng.normal()
    found.append(run(model, optimizer, DataLoader(data, batch_size=16, shuffle=True)).bounds)
    # Each candidate begins at the test's seed, wherever the generator stood.
    assert found[0] == found[1] == found[2]


def test_the_gradient_scaler(batches: DataLoader) -> None:
    model, optimizer = trained()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    before = scaler.state_dict()
    found = run(model, optimizer, batches, scaler=scaler, precision=torch.bfloat16)
    assert scaler.state_dict() == before
    assert found.bounds.lr_min < found.bounds.lr_max


class Ordered:
    """Batches that are no data loader, without any random state of their own."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, labels = samples()
        return zip(inputs.split(32), labels.split(32), strict=True)


def test_any_batches_with_a_length_will_do() -> None:
    model, optimizer = trained()
    before = everything(model, optimizer)
    run(model, optimizer, Ordered())
    assert equal(before, everything(model, optimizer))


def test_a_learning_rate_that_is_a_tensor_stays_that_tensor() -> None:
    model = Net()
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    held = optimizer.param_groups[0]["lr"]
    with restored(model, optimizer, Ordered()):
        held.fill_(7.0)
        optimizer.param_groups[0].update(lr=0.5, momentum=0.1, layer="new")
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(0.1)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert "layer" not in optimizer.param_groups[0]


def test_samplers_after_an_error_too() -> None:
    data = TensorDataset(*samples())
    generator = torch.Generator().manual_seed(6)
    inner = RandomSampler(data, generator=generator)
    spread = DistributedSampler(data, num_replicas=1, rank=0)
    model, optimizer = trained()
    state = generator.get_state()

    def broken(loader: DataLoader) -> None:
        with restored(model, optimizer, loader):
            list(loader)
            spread.set_epoch(9)
            raise KeyError("in the middle")

    for loader in (
        DataLoader(data, batch_sampler=BatchSampler(inner, 16, drop_last=False)),
        DataLoader(data, batch_size=16, sampler=spread),
    ):
        spread.set_epoch(4)
        with pytest.raises(KeyError):
            broken(loader)
    assert torch.equal(state, generator.get_state())
    assert spread.epoch == 4


@pytest.mark.needs_cuda
def test_the_random_state_of_a_gpu_and_a_model_there(batches: DataLoader) -> None:
    model, _ = trained()
    model.to("cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    torch.cuda.manual_seed(12)
    before = everything(model, optimizer), torch.cuda.get_rng_state_all()
    run(model, optimizer, batches, scaler=torch.amp.GradScaler("cuda"), precision=torch.float16)
    assert equal(before, (everything(model, optimizer), torch.cuda.get_rng_state_all()))
