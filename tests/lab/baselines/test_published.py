"""Published methods against slow forms of their formulas, and the traps of those that a package ships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from infopace.lab.baselines import BASELINES
from infopace.lab.errors import InputError
from infopace.lab.steps import Steps

Settings = Callable[..., Any]


def take(steps: Steps, model: nn.Module, grads: list[np.ndarray], loss: float = 1.0) -> None:
    for p, grad in zip(model.parameters(), grads, strict=True):
        p.grad = torch.tensor(grad)
    steps.step(torch.tensor(loss))


def flat(model: nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()


def test_nadamw_is_that_of_algoperf_but_for_the_correction_at_the_start(setting: Settings) -> None:
    model = nn.Linear(3, 2).double()
    steps = BASELINES["nadamw-cosine"].build(setting(model=model, lr=0.01))
    b1, b2, decay = 1 - 0.06733926164, 0.9955159689799007, 0.08121616522670176
    random, m, v = np.random.default_rng(0), np.zeros(8), np.zeros(8)
    for t in range(1, 81):
        w, rate = flat(model), steps.lrs()[0]
        grads = [random.normal(1.0, size=shape) for shape in ((2, 3), (2,))]
        g = np.concatenate([grad.ravel() for grad in grads])
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        take(steps, model, grads)
        scale = rate / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        there = scale * (b1 * m + (1 - b1) * g) / (1 - b1**t)
        here = scale * (b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t))
        np.testing.assert_allclose(w * (1 - rate * decay) - flat(model), here, rtol=1e-6, atol=1e-12)
        if t > 60:
            np.testing.assert_allclose(here, there, rtol=0.01)


def test_ademamix_mixes_a_fast_and_a_slow_average(setting: Settings) -> None:
    model = nn.Linear(3, 2).double()
    steps = BASELINES["ademamix"].build(setting(model=model, lr=0.01))
    b1, b2, b3 = 0.9, 0.999, 0.9999
    random, m, v, slow = np.random.default_rng(0), np.zeros(8), np.zeros(8), np.zeros(8)
    for t in range(1, 81):
        w, rate = flat(model), steps.lrs()[0]
        grads = [random.normal(size=shape) for shape in ((2, 3), (2,))]
        g = np.concatenate([grad.ravel() for grad in grads])
        # Alpha rises linearly over the run, and so does the reciprocal of log beta, from that of beta 1.
        share = t / 80
        beta = np.exp(1 / ((1 - share) / np.log(b1) + share / np.log(b3)))
        m, v, slow = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, beta * slow + (1 - beta) * g
        take(steps, model, grads)
        direction = (m / (1 - b1**t) + 5 * share * slow) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        np.testing.assert_allclose(
            flat(model), w * (1 - 0.01 * rate) - rate * direction, rtol=1e-6, atol=1e-9
        )


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


@pytest.mark.parametrize("last", [False, True])
def test_muon_moves_a_kernel_as_it_moves_a_matrix(setting: Settings, last: bool) -> None:
    torch.manual_seed(0)
    model = convolutional()
    if last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    kernel = model[0].weight  # pyright: ignore[reportIndexIssue]
    assert isinstance(kernel, torch.Tensor)
    matrix = nn.Parameter(kernel.detach().contiguous().flatten(1).clone())
    alone = torch.optim.Muon([matrix], 0.02, 0.01, 0.95, True, adjust_lr_fn="match_rms_adamw")
    steps = BASELINES["muon"].build(setting(model=model, lr=0.02))
    head = model[-1].weight  # pyright: ignore[reportIndexIssue]
    for _ in range(3):
        alone.param_groups[0]["lr"] = steps.lrs()[0]
        steps.optimizer.zero_grad()
        model(torch.randn(5, 2, 4, 4)).square().mean().backward()
        assert kernel.grad is not None
        matrix.grad = kernel.grad.contiguous().flatten(1).clone()
        before = head.detach().clone()
        steps.step(torch.tensor(1.0))
        alone.step()
        torch.testing.assert_close(
            kernel.detach().contiguous().flatten(1), matrix.detach(), rtol=2e-2, atol=2e-4
        )
        assert not torch.equal(before, head)  # by AdamW


def test_muon_needs_something_to_orthogonalise(setting: Settings) -> None:
    with pytest.raises(InputError, match="muon needs a hidden layer with a matrix"):
        BASELINES["muon"].build(setting())


def greedy(setting: Settings, name: str, losses: list[float]) -> list[float]:
    """The rate after each batch with one of these losses."""
    model = nn.Linear(3, 2).double()
    steps = BASELINES[name].build(setting(model=model, lr=BASELINES[name].lr))
    found: list[float] = []
    for loss in losses:
        take(steps, model, [np.zeros((2, 3)), np.zeros(2)], loss)
        found += steps.lrs()
    return found


def test_greedylr_as_shipped_rises_and_never_falls(setting: Settings) -> None:
    falling, rising = [1 - i / 100 for i in range(50)], [float(i) for i in range(1, 400)]
    shipped = greedy(setting, "greedylr", [*falling, *rising])
    assert shipped[49] > shipped[0] == 5e-5
    assert shipped[49:] == [shipped[49]] * len(shipped[49:])
    repaired = greedy(setting, "greedylr-repaired", [*falling, *rising])
    assert repaired[49] > repaired[0] == 1e-3
    assert repaired[-1] == pytest.approx(repaired[49] * 0.95 ** (399 // 11))
    assert min(greedy(setting, "greedylr-repaired", [1.0] * 2000)) == pytest.approx(1e-5)
