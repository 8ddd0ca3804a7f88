"""One table for every term: its value, its gradient, what it lowers, what leaves it unchanged, what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from infopace.regularizers import EnsembleDecorrelation, VariationalBottleneck
from infopace.regularizers._fitted import FittedTerm
from infopace.regularizers._kernels import KernelTerm

from .terms import ROWS, Row, awake, value

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
OF_PAIRS = pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if isinstance(row.build(2, 2), KernelTerm | FittedTerm)]
)


def few(width: int = 2, n: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def in_evaluation(row: Row, d: int = 2, e: int = 3) -> nn.Module:
    return awake(row.build(d, e)).double().eval()


@EVERY
def test_the_value_is_that_of_the_slow_reference(row: Row) -> None:
    term = in_evaluation(row)
    x, y = few(2), few(3, seed=1)
    y[:, 0] += x[:, 0]
    assert float(value(term, x, y).detach()) == pytest.approx(row.reference(term, x, y), abs=1e-6)


@EVERY
def test_the_gradient_is_that_of_finite_differences(row: Row) -> None:
    term = in_evaluation(row)

    def fixed(x: Tensor, y: Tensor) -> Tensor:
        torch.manual_seed(0)
        return value(term, x, y)

    x, y = few(2).requires_grad_(), few(3, seed=1)
    assert torch.autograd.gradcheck(fixed, (x, y), atol=1e-4)


@EVERY
def test_what_leaves_the_value_unchanged(row: Row) -> None:
    term = in_evaluation(row)
    x, y = few(2), few(3, seed=1)
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=x.dtype)
    before = float(value(term, x, y).detach())

    def same(x: Tensor, y: Tensor) -> bool:
        return math.isclose(float(value(term, x, y).detach()), before, abs_tol=1e-6)

    order = torch.tensor([3, 0, 4, 2, 1])
    assert same(x[order], y[order])
    assert {"rotation": same(x @ turn, y), "scale": same(3 * x, y)} == {
        name: name in row.unchanged for name in ("rotation", "scale")
    }


@EVERY
def test_minimising_the_term_lowers_the_dependence(row: Row) -> None:
    """A linear layer of two units: the first holds the target, and the second is much like it."""
    torch.manual_seed(0)
    inputs = torch.randn(96, 4)
    target = inputs[:, :1] + 0.3 * torch.randn(96, 1)
    layer = nn.Linear(4, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.3, 0.0, 0.0], [0.7, 0.0, 0.7, 0.0]])
    term = row.build(2, 1)
    if isinstance(term, FittedTerm):
        term.fit(layer(inputs), target, steps=60)
    before = row.measure(term, inputs, layer(inputs).detach(), target)
    optimizer = torch.optim.Adam([*layer.parameters(), *term.parameters()], lr=0.03)
    beta, first, loss = 2.0, math.nan, torch.tensor(math.nan)
    for step in range(40):
        optimizer.zero_grad()
        loss = beta * (term(layer(inputs), target) if takes_pairs(term) else term(layer(inputs)))
        first = float(loss.detach()) if step == 0 else first
        loss.backward()
        optimizer.step()
    after = row.measure(term, inputs, layer(inputs).detach(), target)
    assert after < 0.7 * before
    assert float(loss.detach()) < first


def takes_pairs(term: nn.Module) -> bool:
    return isinstance(term, KernelTerm | FittedTerm)


@OF_PAIRS
def test_shuffled_pairs_have_almost_nothing(row: Row) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 2)
    y = x[:, :1].clone()
    term = row.build(2, 1)
    if isinstance(term, KernelTerm):
        null, true = float(term.shuffled(x, y)), float(term(x, y))
        # With a ridge it is not 0 for independent pairs, as its docstring says.
        assert abs(null) < (0.05 if getattr(term, "ridge", None) is None else 0.7)
        assert true > 5 * abs(null)
        return
    assert isinstance(term, FittedTerm)
    for _ in range(15):
        term.fit(x, y[torch.randperm(128)])
    null = float(term.bound(x, y[torch.randperm(128)]))
    term.fit(x, y, steps=60)
    assert abs(null) < 0.1 < 0.5 < float(term.bound(x, y))


def test_independent_units_have_nothing() -> None:
    units = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    assert abs(float(EnsembleDecorrelation(6, 3)(units))) < 1e-3
    small = torch.randn(500, 8, 6, generator=torch.Generator().manual_seed(0))
    term = EnsembleDecorrelation(6)
    # In batches of 8 the mean squared correlation is 1/7, which is taken off.
    assert abs(sum(float(term(batch)) for batch in small) / 500) < 0.01


def test_noise_alone_has_nothing() -> None:
    term = VariationalBottleneck(3, start=math.log(math.e - 1))
    nn.init.zeros_(term.spread.weight)
    assert float(term(torch.zeros(8, 3)).detach()) == pytest.approx(0, abs=1e-6)


@EVERY
def test_bad_values_are_refused(row: Row) -> None:
    term = row.build(2, 3).eval()
    name = "x" if takes_pairs(term) else "t"
    x, y = few(2).float(), few(3).float()
    with pytest.raises(ValueError, match=rf"^{name} must be finite, got nan$"):
        value(term, x.where(x > -10, x) * torch.tensor([1.0, math.nan]), y)
    with pytest.raises(ValueError, match=rf"^{name} must have 4 examples or more, got shape \(3, 2\)$"):
        value(term, x[:3], y)
    with pytest.raises(TypeError, match=rf"^{name} must hold real numbers, got torch\.complex64$"):
        value(term, x.to(torch.complex64), y)
    if takes_pairs(term):
        with pytest.raises(ValueError, match=r"^x and y must have the same number of examples, got 5 and 4$"):
            value(term, x, y[:4])
    if not isinstance(term, KernelTerm):
        with pytest.raises(
            ValueError, match=rf"^{name} must have 2 features an example, got shape \(5, 7\)$"
        ):
            value(term, few(7).float(), y)


@OF_PAIRS
def test_labels_and_images_are_taken(row: Row) -> None:
    images = torch.randn(12, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 4
    term = awake(row.build(18, 4)).eval()
    torch.manual_seed(0)
    found = value(term, images, labels)
    torch.manual_seed(0)
    assert found.shape == () and float(found) == pytest.approx(
        float(value(term, images.flatten(1), torch.eye(4)[labels])), abs=1e-6
    )
    if isinstance(term, FittedTerm):
        with pytest.raises(ValueError, match=r"^y must have labels in 0\.\.3, got 7$"):
            value(term, images, labels.where(labels < 3, 7))


@EVERY
def test_a_layer_that_gives_the_same_for_all_has_a_finite_gradient(row: Row) -> None:
    term = in_evaluation(row)
    x = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)
    value(term, x, few(3)).backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())
