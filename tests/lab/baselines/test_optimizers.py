"""The optimizers of our own against slow ones in numpy, and what their formulas promise."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from infopace.lab.baselines import BASELINES
from infopace.lab.optimizers import DoG, L4Mom, SGDRecipe, YamAdam

SHAPES = ((3, 2), (4,))
OWN = {"dog": DoG, "l4": L4Mom, "yamadam": YamAdam}


def draws(seed: int, steps: int) -> Iterator[tuple[list[np.ndarray], float]]:
    """Gradients and a loss for each step."""
    random = np.random.default_rng(seed)
    for _ in range(steps):
        yield [random.normal(size=shape) for shape in SHAPES], float(random.uniform(0.5, 2))


def start(seed: int) -> list[Tensor]:
    random = np.random.default_rng([seed, 1])
    return [torch.tensor(random.normal(size=shape)).requires_grad_() for shape in SHAPES]


def take(optimizer: Any, params: list[Tensor], grads: list[np.ndarray], loss: float) -> None:
    for p, grad in zip(params, grads, strict=True):
        p.grad = torch.tensor(grad)
    optimizer.step(lambda: loss)


def flat(values: list[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(v.detach() if isinstance(v, Tensor) else v).ravel() for v in values])


def slow_dog(w: np.ndarray, lr: float, decay: float, moves: list[tuple[np.ndarray, float]]) -> np.ndarray:
    path, grads, mean = [w], [], w
    for t, (g, _) in enumerate(moves):
        grads.append(g + decay * path[-1])
        distance = max([1e-6 * (1 + np.linalg.norm(w)), *(np.linalg.norm(x - w) for x in path)])
        eta = lr * distance / math.sqrt(sum(float(x @ x) for x in grads) + 1e-8)
        path.append(path[-1] - eta * grads[-1])
        mean = (1 - 9 / (t + 9)) * mean + 9 / (t + 9) * path[-1]
    return np.concatenate([path[-1], mean])


def slow_l4(w: np.ndarray, lr: float, decay: float, moves: list[tuple[np.ndarray, float]]) -> np.ndarray:
    average, lowest = np.zeros_like(w), 0.75 * moves[0][1]
    for t, (g, loss) in enumerate(moves, 1):
        if t > 1:
            lowest = min(lowest, loss)
        average = 0.9 * average + 0.1 * (g + decay * w)
        m = average / (1 - 0.9**t)
        w = w - lr * (loss - 0.9 * lowest) / (m @ m + 1e-12) * m
        lowest = lowest * 1.001
    return w


def slow_yamadam(w: np.ndarray, lr: float, decay: float, moves: list[tuple[np.ndarray, float]]) -> np.ndarray:
    v, m, s, h = (np.zeros_like(w) for _ in range(4))
    b, e = 0.0, 1e-6
    for g, _ in moves:
        g = g + decay * w
        v = b * v + (1 - b) * (g - m) ** 2
        m = b * m + (1 - b) * g
        s = b * s + (1 - b) * h**2
        new = m * np.sqrt((s + e) / (v + e))
        w = w - lr * new
        b = 1 / (1 + math.exp(-(abs(h).sum() + e) / (abs(new).sum() + e))) - e
        h = new
    return w


SLOW = {"dog": slow_dog, "l4": slow_l4, "yamadam": slow_yamadam}


def run(
    name: str, seed: int, steps: int, *, scale: float = 1.0, lr: float | None = None, decay: float = 0.0
) -> Any:
    """An optimizer with its weights, after some steps on gradients and losses times `scale`."""
    params = start(seed)
    rate = BASELINES[name].lr if lr is None else lr
    optimizer = OWN[name](params, rate, weight_decay=decay)
    for grads, loss in draws(seed, steps):
        take(optimizer, params, [scale * g for g in grads], scale * loss)
    return optimizer, params


def ending(name: str, optimizer: Any, params: list[Tensor]) -> np.ndarray:
    end = flat(params)
    if name != "dog":
        return end
    optimizer.take_average()
    return np.concatenate([end, flat(params)])


@pytest.mark.parametrize("name", OWN)
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 40),
    decay=st.sampled_from([0.0, 0.1]),
    lr=st.floats(0.1, 2),
)
@settings(max_examples=25, deadline=None)
def test_the_steps_of_the_formula(name: str, seed: int, steps: int, decay: float, lr: float) -> None:
    optimizer, params = run(name, seed, steps, lr=lr, decay=decay)
    moves = [(flat(grads), loss) for grads, loss in draws(seed, steps)]
    wanted = SLOW[name](flat(start(seed)), lr, decay, moves)
    np.testing.assert_allclose(ending(name, optimizer, params), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", OWN)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e2, 1e5))
@settings(max_examples=25, deadline=None)
def test_the_scale_of_the_loss_does_not_matter(name: str, seed: int, scale: float) -> None:
    # Up to the epsilons. Steps enlarge what they change, so they must be far below the digits that count.
    large, larger = (ending(name, *run(name, seed, 20, scale=times)) for times in (1e6, 1e6 * scale))
    np.testing.assert_allclose(large, larger, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OWN)
def test_the_rate_shown_is_the_rate_taken(name: str) -> None:
    optimizer, params = run(name, 3, 5)
    group = optimizer.param_groups[0]
    before = flat(params)
    grads, loss = next(draws(9, 1))
    take(optimizer, params, grads, loss)
    moved = before - flat(params)
    d = float(group["d"])
    states = [optimizer.state[p] for p in params]
    if name == "dog":
        np.testing.assert_allclose(moved, d * flat(grads), rtol=1e-6)
    elif name == "l4":
        m = flat([state["average"] for state in states]) / (1 - 0.9**6)
        np.testing.assert_allclose(moved, 0.15 * d * m, rtol=1e-6)
    else:
        m = flat([state["m"] for state in states])
        assert d == pytest.approx(float(np.mean(moved / m)))


@pytest.mark.parametrize("name", OWN)
def test_a_state_that_was_saved_goes_on_with_the_same_bits(name: str) -> None:
    optimizer, params = run(name, 5, 7)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    copies = [p.detach().clone().requires_grad_() for p in params]
    other = OWN[name](copies)
    other.load_state_dict(torch.load(file, weights_only=True))
    for grads, loss in draws(8, 5):
        take(optimizer, params, grads, loss)
        take(other, copies, grads, loss)
    assert np.array_equal(ending(name, optimizer, params), ending(name, other, copies))


@pytest.mark.parametrize("name", OWN)
def test_weights_without_a_gradient_stay(name: str) -> None:
    params = start(0)
    optimizer = OWN[name](params)
    params[0].grad = torch.ones_like(params[0])
    before = [p.detach().clone() for p in params]
    optimizer.step(lambda: 1.0)
    assert not torch.equal(params[0], before[0])
    assert torch.equal(params[1], before[1])


@given(
    seed=st.integers(0, 10**6),
    decay=st.sampled_from([0.0, 5e-4, 0.1]),
    lr=st.floats(0.01, 10),
    momentum=st.sampled_from([0.0, 0.9]),
)
@settings(max_examples=25, deadline=None)
def test_lars_trusts_a_layer_by_its_norms_and_a_bias_fully(
    setting: Callable[..., Any], seed: int, decay: float, lr: float, momentum: float
) -> None:
    random = np.random.default_rng(seed)
    model = nn.Linear(3, 2).double()
    steps = BASELINES["lars"].build(setting(model=model, lr=lr, sgd=SGDRecipe(momentum, weight_decay=decay)))
    w, bias = (p.detach().numpy().copy() for p in model.parameters())
    moving: list[Any] = [0.0, 0.0]
    for t in range(3):
        grads = [random.normal(size=shape) for shape in ((2, 3), (2,))]
        for p, grad in zip(model.parameters(), grads, strict=True):
            p.grad = torch.tensor(grad)
        steps.step(torch.zeros(()))
        norm = np.linalg.norm(w)
        trust = 1e-3 * norm / (np.linalg.norm(grads[0]) + decay * norm)
        moving[0] = momentum * moving[0] + trust * (grads[0] + decay * w)
        moving[1] = momentum * moving[1] + grads[1]
        rate = lr * (1 - t / 80) ** 2
        w, bias = w - rate * moving[0], bias - rate * moving[1]
        np.testing.assert_allclose(model.weight.detach(), w, rtol=1e-6)
        np.testing.assert_allclose(model.bias.detach(), bias, rtol=1e-6)
