"""The noise of gradients, beside a backward pass for each example."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from infopace.diagnostics import NoiseOfGradients, _gradient_noise, gradient_noise

from .test_goldilocks import MODELS, same, state_of


def slow(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The gradients of single examples, (n, D), by layer."""
    model.eval()
    rows: dict[str, list[Tensor]] = {}
    for x, y in zip(inputs, targets, strict=True):
        model.zero_grad()
        cross_entropy(model(x[None]), y[None]).backward()
        parts: dict[str, list[Tensor]] = {}
        for name, weight in model.named_parameters():
            assert weight.grad is not None
            parts.setdefault(name.rpartition(".")[0], []).append(weight.grad.flatten().double())
        for layer, some in parts.items():
            rows.setdefault(layer, []).append(torch.cat(some))
    return {layer: torch.stack(each) for layer, each in rows.items()}


def numbers(gradients: Tensor) -> list[float]:
    """tr D, |g|^2, participation, top share, by the D x D covariance itself."""
    covariance = torch.cov(gradients.T)
    trace, eigenvalues = covariance.trace(), torch.linalg.eigvalsh(covariance)
    found = [
        trace,
        gradients.mean(0).square().sum(),
        trace**2 / covariance.square().sum(),
        eigenvalues[-1] / trace,
    ]
    return [float(one) for one in found]


@pytest.mark.parametrize("held", [2**28, 1])
@pytest.mark.parametrize("kind", MODELS)
def test_it_is_that_of_a_loop_and_leaves_the_model_as_found(
    kind: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gradient_noise, "_HELD", held)
    torch.manual_seed(0)
    model, targets = MODELS[kind](), torch.arange(9) % 3
    inputs = torch.randn(9, 5, 8)
    before = state_of(model)
    with torch.no_grad():
        found = gradient_noise(model, cross_entropy, inputs, targets, chunk=4)
    assert same(before, state_of(model))
    wanted = slow(model, inputs, targets)
    assert list(found.layers) == list(wanted)
    rows = {"": torch.cat(list(wanted.values()), 1), **wanted}
    for layer, gradients in rows.items():
        one = found.layers[layer] if layer else found
        got = [one.trace, one.squared_mean, one.participation, one.top]
        assert got == pytest.approx(numbers(gradients), rel=1e-3)
        assert one.scale == one.trace / one.squared_mean and one.examples == 9
        assert one.participation <= 8.001


def test_the_unbiased_scale_takes_off_what_is_by_chance() -> None:
    """Gradients of mean 3 and standard deviation 10, n of them: the scale is 100 / 9."""
    n, sets = 16, 20_000
    gradients = 3 + 10 * torch.randn(sets, n, generator=torch.Generator().manual_seed(0))
    trace, squared = float(gradients.var(1).mean()), float(gradients.mean(1).square().mean())
    of_means = NoiseOfGradients(trace, squared, 1.0, 1.0, n)
    assert of_means.unbiased_scale == pytest.approx(100 / 9, rel=0.06)
    assert of_means.scale == pytest.approx(100 / (9 + 100 / n), rel=0.06)
    assert NoiseOfGradients(16.0, 1.0, 1.0, 1.0, n).unbiased_scale == math.inf


def test_equal_examples_have_no_noise() -> None:
    model = nn.Linear(3, 2)
    found = gradient_noise(model, cross_entropy, torch.ones(5, 3), torch.zeros(5).long())
    assert found.scale == pytest.approx(0.0, abs=1e-9)
    still = gradient_noise(model, lambda o, t: 0 * o.mean(), torch.ones(5, 3), torch.zeros(5))
    assert math.isnan(still.scale) and math.isnan(still.participation) and math.isnan(still.top)


def batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2))


class Centred(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x - x.mean(0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"model": batch_norm()},
            "examples must not know of each other, got batch norm without running statistics in '1'",
        ),
        ({"model": Centred()}, "the loss must be a mean over examples that do not know of each other"),
        ({"loss": nn.CrossEntropyLoss(reduction="sum")}, "the loss must be a mean over examples.* gives one"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"targets": torch.zeros(1).long()}, "there must be 2 examples or more, got 1"),
        ({"inputs": torch.full((6, 3), math.nan)}, "the loss must be finite, got nan"),
    ],
)
def test_bad_values_are_refused(changed: dict[str, Any], message: str) -> None:
    torch.manual_seed(0)
    given = {
        "model": nn.Linear(3, 2),
        "loss": cross_entropy,
        "inputs": torch.randn(6, 3),
        "targets": torch.arange(6) % 2,
        **changed,
    }
    with pytest.raises(ValueError, match=f"^{message}"):
        gradient_noise(**given)
