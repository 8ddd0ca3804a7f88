"""Baselines that hand over an average: which weights the evaluation sees, and with which statistics of batch norm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infopace.lab.config import TrainConfig, resolve
from infopace.lab.training import Training

AVERAGED = ["schedule-free-sgd", "schedule-free-adamw", "dog"]


def _trained(name: str, epochs: int = 2) -> Training:
    plan = resolve(
        TrainConfig(workload="tiny", method=name, lr=1.0 if name != AVERAGED[1] else 0.02, threads=1)
    )
    training = Training(plan, plan.workload.load())
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch, lambda done, total: None)
    return training


def _weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("name", AVERAGED[:2])
def test_schedule_free_shows_x(tiny: Any, name: str) -> None:
    training = _trained(name)
    trained = _weights(training.model)
    with training.steps.evaluating():
        seen = _weights(training.model)
    # The gradient is taken at y = (1 - 0.9) z + 0.9 x.
    for y, x, p in zip(trained, seen, training.model.parameters(), strict=True):
        z = training.steps.optimizer.state[p]["z"]
        torch.testing.assert_close(y, 0.1 * z + 0.9 * x)
        assert not torch.equal(y, x)


def test_dog_shows_its_mean(tiny: Any) -> None:
    training = _trained("dog", epochs=4)
    trained = _weights(training.model)
    with training.steps.evaluating():
        for p, last in zip(training.model.parameters(), trained, strict=True):
            assert torch.equal(p, training.steps.optimizer.state[p]["mean"])
            assert not torch.equal(p, last)


@pytest.mark.parametrize("name", AVERAGED)
def test_statistics_of_batch_norm_belong_to_the_average(normed: Any, name: str) -> None:
    training = _trained(name)
    model = training.model
    assert isinstance(model, nn.Sequential)
    linear, norm = model[0], model[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    while_training = norm.running_mean.clone()
    model.eval()
    with training.steps.evaluating():
        assert isinstance(training.data.train_inputs, Tensor)
        wanted = linear(training.data.train_inputs).mean(0)
        torch.testing.assert_close(norm.running_mean, wanted)
        assert not norm.training
        assert not torch.allclose(while_training, wanted, rtol=1e-3)
    assert torch.equal(norm.running_mean, while_training)
    assert norm.momentum == 0.1


def test_dog_starts_farther_with_batch_norm(normed: Any) -> None:
    training = _trained("dog", epochs=0)
    norm = torch.cat([p.detach().flatten() for p in training.model.parameters()]).norm()
    assert training.steps.lrs() == [pytest.approx(1e-4 * (1 + float(norm)))]


def test_weights_come_back_where_the_evaluation_fails(tiny: Any) -> None:
    for name in AVERAGED:
        training = _trained(name)
        before = _weights(training.model)
        with pytest.raises(KeyError), training.steps.evaluating():
            raise KeyError
        assert all(map(torch.equal, before, _weights(training.model)))
        training.train_epoch(3, lambda done, total: None)  # a schedule-free optimizer refuses in eval mode
