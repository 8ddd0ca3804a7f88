"""Curvature in a subspace, beside the full Hessian; what leaves it unchanged, and that the model is as it was."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from infopace.diagnostics import goldilocks_ratio, hutchinson_ratio


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def examples(n: int = 12) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, generator=draws, dtype=torch.float64), torch.arange(n) % 3


def full_hessian(model: nn.Module, scale: float = 1.0, temperature: float = 1.0) -> Tensor:
    """The whole Hessian at scaled weights."""
    inputs, targets = examples()
    weights = dict(model.named_parameters())
    sizes = {name: weight.shape for name, weight in weights.items()}

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([size.numel() for size in sizes.values()])
        at = {name: part.view(size) for part, (name, size) in zip(parts, sizes.items(), strict=True)}
        return cross_entropy(functional_call(model, at, (inputs,)) / temperature, targets)

    flat = scale * torch.cat([weight.detach().flatten() for weight in weights.values()])
    found = hessian(loss, flat)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize(("scale", "temperature"), [(1.0, 1.0), (3.0, 1.0), (1.0, 0.5), (0.5, 4.0)])
def test_a_subspace_of_all_dimensions_gives_the_full_hessian(scale: float, temperature: float) -> None:
    model = tiny()
    wanted = torch.linalg.eigvalsh(full_hessian(model, scale, temperature))
    found = goldilocks_ratio(model, cross_entropy, *examples(), 31, scale, temperature, batch_size=5)
    assert torch.allclose(found.eigenvalues, wanted, atol=1e-10)
    assert found.dimensions == 31
    assert found.ratio == pytest.approx(float(wanted.sum() / wanted.norm()))
    norm = math.sqrt(sum(float(weight.detach().square().sum()) for weight in model.parameters()))
    assert found.norm == pytest.approx(scale * norm)


def test_a_subspace_gives_the_hessian_between_its_vectors() -> None:
    model, d = tiny(), 5
    found = goldilocks_ratio(model, cross_entropy, *examples(), d, seed=3)
    draws = torch.randn(31, d, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    subspace = torch.linalg.qr(draws).Q
    wanted = torch.linalg.eigvalsh(subspace.T @ full_hessian(model) @ subspace)
    assert torch.allclose(found.eigenvalues, wanted, atol=1e-10)
    assert found.positive == float((wanted > 0).double().mean())
    assert abs(found.ratio) <= math.sqrt(d)
    assert found.ratio != goldilocks_ratio(model, cross_entropy, *examples(), d, seed=4).ratio


def test_random_signs_agree_within_their_error() -> None:
    model = tiny()
    wanted = full_hessian(model)
    found = hutchinson_ratio(model, cross_entropy, *examples(), probes=400)
    assert abs(found.trace - float(wanted.trace())) < 4 * found.trace_error
    assert abs(found.norm - float(wanted.norm())) < 4 * found.norm_error
    assert found.ratio == found.trace / found.norm and found.weights == 31


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 5)),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(32, 3),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {"conv": conv, "attention": Attention, "recurrent": Recurrent}


def state_of(model: nn.Module) -> tuple[Any, ...]:
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [None if weight.grad is None else weight.grad.clone() for weight in model.parameters()]
    return tensors, grads, [module.training for module in model.modules()], torch.get_rng_state()


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    tensors = all(torch.equal(one[0][name], other[0][name]) for name in one[0])
    grads = all(
        (a is None and b is None) or (a is not None and torch.equal(a, b))
        for a, b in zip(one[1], other[1], strict=True)
    )
    return tensors and grads and one[2] == other[2] and torch.equal(one[3], other[3])


@pytest.mark.parametrize("kind", MODELS)
def test_it_works_on_usual_models_and_leaves_them_as_found(kind: str) -> None:
    torch.manual_seed(0)
    model, targets = MODELS[kind](), torch.arange(6) % 3
    inputs = torch.randn(6, 5, 8)
    cross_entropy(model(inputs), targets).backward()
    inputs_before, before = inputs.clone(), state_of(model)
    with torch.no_grad():
        found = goldilocks_ratio(model, cross_entropy, inputs, targets, dimensions=3)
    assert same(before, state_of(model)) and torch.equal(inputs, inputs_before)
    assert math.isfinite(found.ratio) and found.eigenvalues.norm() > 0
    again = goldilocks_ratio(model, cross_entropy, inputs, targets, dimensions=3, batch_size=4)
    assert torch.allclose(found.eigenvalues, again.eigenvalues, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_the_trace_is_that_of_finite_differences(kind: str) -> None:
    torch.manual_seed(0)
    model, targets = MODELS[kind]().double().eval(), torch.arange(6) % 3
    inputs = torch.randn(6, 5, 8, dtype=torch.float64)
    found = goldilocks_ratio(model, cross_entropy, inputs, targets, dimensions=1)
    weights = list(model.parameters())
    size = sum(weight.numel() for weight in weights)
    draws = torch.randn(size, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    direction, step = torch.linalg.qr(draws).Q[:, 0], 1e-4

    def at(distance: float) -> float:
        moved = copy.deepcopy(model)
        for weight, part in zip(
            moved.parameters(), direction.split([w.numel() for w in weights]), strict=True
        ):
            weight.data += distance * part.view(weight.shape)
        return float(cross_entropy(moved(inputs), targets).detach())

    difference = (at(step) - 2 * at(0.0) + at(-step)) / step**2
    assert float(found.eigenvalues[0]) == pytest.approx(difference, rel=1e-3, abs=1e-6)


def test_a_loss_without_curvature_has_no_ratio() -> None:
    model = nn.Linear(3, 1)
    inputs = torch.randn(4, 3)
    found = goldilocks_ratio(model, lambda outputs, targets: outputs.mean(), inputs, torch.zeros(4), 2)
    assert math.isnan(found.ratio) and found.positive == 0.0


def test_frozen_weights_do_not_count_and_are_not_scaled() -> None:
    model = tiny()
    model[0].requires_grad_(False)  # pyright: ignore[reportIndexIssue]
    found = goldilocks_ratio(model, cross_entropy, *examples(), 15, scale=2.0)
    other = copy.deepcopy(model)
    other[2].weight.data *= 2  # pyright: ignore[reportIndexIssue]
    other[2].bias.data *= 2  # pyright: ignore[reportIndexIssue]
    again = goldilocks_ratio(other, cross_entropy, *examples(), 15)
    assert torch.allclose(found.eigenvalues, again.eigenvalues, atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dimensions": 0}, "dimensions must be at least 1, got 0"),
        ({"dimensions": 32}, "dimensions must be at most the 31 trainable weights, got 32"),
        ({"scale": -1.0}, r"scale must be a positive number, got -1\.0"),
        ({"temperature": math.nan}, "temperature must be a positive number, got nan"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, r"seed must be in 0\.\.2\^63-1, got -1"),
        ({"targets": torch.zeros(0).long()}, "there must be 1 examples or more, got 0"),
        (
            {"targets": torch.zeros(7).long()},
            "inputs and targets must have the same number of examples, got 12 and 7",
        ),
        ({"loss": lambda outputs, targets: outputs.sum(1)}, r"loss must give a scalar.*, got shape \(12,\)"),
        ({"scale": 1e308}, "the loss must be finite, got inf at scale = 1e\\+308 and temperature = 1"),
        ({"model": tiny().half()}, "the weights must be float32 or float64, got torch.float16 in 0.weight"),
        ({"model": tiny().requires_grad_(False)}, "the model must have trainable weights, got none"),
    ],
)
def test_bad_values_are_refused(changed: dict[str, Any], message: str) -> None:
    inputs, targets = examples()
    given = {"model": tiny(), "loss": cross_entropy, "inputs": inputs, "targets": targets, **changed}
    with pytest.raises(ValueError, match=f"^{message}"):
        goldilocks_ratio(**given)
    with pytest.raises(ValueError, match=r"^probes must be at least 2, got 1$"):
        hutchinson_ratio(tiny(), cross_entropy, inputs, targets, probes=1)
