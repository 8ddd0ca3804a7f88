"""What is measured may be another model than the one that the optimizer trains: an average, a merged model."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from infopace import HoldAndDecay, MutualInformationLR, Probe

from ..small_run import BOUNDS, data, same

STEPS = 12


class Loop:
    """Some epochs of a network and the average of its weights."""

    def __init__(self, *, bounds: Any = BOUNDS, by_function: bool = False, average: bool = True) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        inputs, labels = data()
        self.probe = Probe(inputs[:200], labels[:200])
        self.scheduler = MutualInformationLR(
            self.optimizer,
            self.model,
            self.probe,
            bounds,
            HoldAndDecay(8),
            steps_per_epoch=STEPS,
            measured=(lambda: self.average) if by_function else self.average if average else None,
        )
        self.numbers = iter(range(100))

    def epoch(self) -> None:
        inputs, labels = data()
        order = torch.randperm(600, generator=torch.Generator().manual_seed(next(self.numbers)))
        for batch in order.split(50):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(inputs[batch]), labels[batch]).backward()
            self.optimizer.step()
            self.average.update_parameters(self.model)
        self.scheduler.observe()
        self.scheduler.step()

    def nats(self, model: nn.Module) -> float:
        return self.probe.measure(model, std_error=False).output.estimate.nats


@pytest.mark.parametrize("by_function", [False, True])
def test_the_average_drives(by_function: bool) -> None:
    loop = Loop(by_function=by_function)
    for _ in range(3):
        loop.epoch()
    assert loop.scheduler.history["output"][-1] == loop.nats(loop.average) != loop.nats(loop.model)


def test_trials_measure_what_is_trained_and_epochs_the_average() -> None:
    ours, usual = Loop(bounds=None), Loop(bounds=None, average=False)
    for _ in range(6):
        ours.epoch()
        usual.epoch()
    assert not ours.scheduler.finding
    assert ours.scheduler.found == usual.scheduler.found
    assert ours.scheduler.history["output"][-1] == ours.nats(ours.average)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def test_an_average_is_rolled_back_with_the_network() -> None:
    loop = Loop()
    loop.epoch()
    network, average = weights_of(loop.model), weights_of(loop.average)
    for _ in range(2):
        inputs, labels = data()
        nn.functional.cross_entropy(loop.model(inputs), labels).backward()
        loop.optimizer.step()
        loop.average.update_parameters(loop.model)
    assert not same(weights_of(loop.average), average)
    loop.scheduler.roll_back("the loss is nan")
    assert same(weights_of(loop.average), average)
    assert same(weights_of(loop.model), network)


def test_it_resumes_with_the_same_numbers() -> None:
    loop, again = Loop(bounds=None), Loop(bounds=None)
    for _ in range(2):
        loop.epoch()
        next(again.numbers)
    for name in ("model", "average", "optimizer", "scheduler"):
        getattr(again, name).load_state_dict(copy.deepcopy(getattr(loop, name).state_dict()))
    for _ in range(4):
        loop.epoch()
        again.epoch()
    assert again.scheduler.history == loop.scheduler.history
    assert same(weights_of(again.model), weights_of(loop.model))
