"""A small critic of pairs, and how it is trained with early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from infopace._typing import Float

# Two hidden layers of 64 and 32 features a side: enough for the normal and the label cases of the tests.
_HIDDEN = 64
_FEATURES = 32
_LEARNING_RATE = 1e-3
_VALIDATE_EVERY = 20
_PATIENCE = 15

Critic = list[Tensor]


def new_critic(width_x: int, width_y: int, generator: torch.Generator) -> Critic:
    """Weights and biases of a separable critic, drawn on the CPU; it scores every pair 0.

        T(x, y) = f(x) . g(y),  f and g two-layer perceptrons with ReLU, the last layer of g zero at first

    So an untrained critic claims no information. All n^2 pairs of n examples cost n passes, not n^2.
    """
    critic: Critic = []
    for width in (width_x, width_y):
        for fan_in, fan_out in ((width, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, _FEATURES)):
            draw = torch.randn(fan_in, fan_out, generator=generator) * math.sqrt(2 / fan_in)
            critic += [draw, torch.zeros(fan_out)]
    critic[-2] = torch.zeros_like(critic[-2])
    return critic


def all_scores(critic: Critic, x: Float[Tensor, "n d"], y: Float[Tensor, "m e"]) -> Float[Tensor, "n m"]:
    """T(x_i, y_j) for all i and j."""
    half = len(critic) // 2
    return _perceptron(critic[:half], x) @ _perceptron(critic[half:], y).T


def _perceptron(layers: Critic, features: Tensor) -> Tensor:
    for index in range(0, len(layers), 2):
        features = features @ layers[index] + layers[index + 1]
        if index + 2 < len(layers):
            features = features.relu()
    return features


def train_critic(
    critic: Critic,
    train: tuple[Tensor, Tensor],
    loss: Callable[[Float[Tensor, "b b"]], Float[Tensor, ""]],
    validate: Callable[[Critic], float],
    *,
    batch: int,
    steps: int,
    generator: torch.Generator,
) -> Critic:
    """The critic with the best validation value while Adam (Kingma & Ba 2015) minimises the loss.

    Batches are drawn from the train examples (x, y) without replacement, epoch by epoch. The run ends after `steps`, or
    when 15 validations, 20 steps apart, were not better than the best so far.
    """
    x, y = train
    best, best_value, waited = critic, validate(critic), 0
    critic = [tensor.clone().requires_grad_() for tensor in critic]
    first, second = ([torch.zeros_like(tensor) for tensor in critic] for _ in range(2))
    order = torch.empty(0, dtype=torch.long)
    for step in range(1, steps + 1):
        if len(order) < batch:
            order = torch.randperm(len(x), generator=generator)
        drawn, order = order[:batch].to(x.device), order[batch:]
        gradients = torch.autograd.grad(loss(all_scores(critic, x[drawn], y[drawn])), critic)
        with torch.no_grad():
            for tensor, gradient, m, v in zip(critic, gradients, first, second, strict=True):
                m.lerp_(gradient, 0.1)
                v.lerp_(gradient.square(), 0.001)
                spread = (v / (1 - 0.999**step)).sqrt_().add_(1e-8)
                tensor.addcdiv_(m, spread, value=-_LEARNING_RATE / (1 - 0.9**step))
        if step % _VALIDATE_EVERY == 0:
            value = validate([tensor.detach() for tensor in critic])
            if value > best_value:
                best, best_value, waited = [tensor.detach().clone() for tensor in critic], value, 0
            elif (waited := waited + 1) == _PATIENCE:
                break
    return best
