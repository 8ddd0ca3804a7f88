"""Multinomial logistic regression with a ridge penalty, over a path of strengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from infopace._typing import Float, Int

# Pairs of steps in the quasi-Newton matrix, as in most L-BFGS programs.
_HISTORY = 10
_MOST_STEPS = 100
# Largest entry of the gradient, in coordinates of at most unit curvature. The loss is then within about 1e-5 nats of
# its minimum (against scikit-learn), far below the noise of a held-out mean.
_TOLERANCE = 1e-4


def softmax_regression_path(
    features: Float[Tensor, "n r"],
    classes: Int[Tensor, " n"],
    count: int,
    strengths: Sequence[float],
) -> Iterator[Float[Tensor, "r_plus_1 count"]]:
    """Weights (r + 1, C) for each strength in turn, intercepts last. Each fit starts from the one before.

        minimise  - < ln softmax(W'z_i + b)_{y_i} > + lambda / 2 |W|^2

    z_i are the features (n, r) of the examples, with uncorrelated columns of mean 0. y_i are classes in 0..C-1, <> is
    the mean over examples, lambda a strength. b has no penalty.

    The Hessian is at most S x (I - 11'/C) / 2 with S the features' covariance (Böhning, Ann. Inst. Stat. Math. 44,
    1992), and S is diagonal here. Each weight is divided by the root of that bound, which leaves a well-scaled problem.
    L-BFGS (Nocedal & Wright 2006, alg. 7.4) solves it in few steps.
    """
    n, width = features.shape
    design = torch.cat([features, features.new_ones(n, 1)], 1)
    variances = torch.cat([features.square().mean(0), features.new_ones(1)])
    penalised = features.new_ones(width + 1)
    penalised[-1] = 0
    hot = torch.nn.functional.one_hot(classes, count).to(features.dtype)
    weights = features.new_zeros(width + 1, count)
    shares = (hot.sum(0) / n).clamp(min=0.5 / n)
    weights[-1] = shares.log() - shares.log().mean()
    for strength in strengths:
        scale = (variances / 2 + strength * penalised).rsqrt()[:, None]
        ridge = strength * penalised[:, None]
        weights = scale * _minimise(weights / scale, scale, design, hot, ridge)
        yield weights


def _minimise(start: Tensor, scale: Tensor, design: Tensor, hot: Tensor, ridge: Tensor) -> Tensor:
    point = start
    value, gradient = _loss(point, scale, design, hot, ridge)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    for _ in range(_MOST_STEPS):
        if float(gradient.abs().max()) < _TOLERANCE:
            break
        direction = -_inverse_hessian(gradient, steps, changes)
        slope = float((direction * gradient).sum())
        length = 1.0
        while True:
            trial = point + length * direction
            new_value, new_gradient = _loss(trial, scale, design, hot, ridge)
            if new_value <= value + 1e-4 * length * slope or length < 1e-6:
                break
            length /= 2
        if new_value >= value:
            break
        step, change = trial - point, new_gradient - gradient
        if float((step * change).sum()) > 0:
            steps, changes = [*steps, step][-_HISTORY:], [*changes, change][-_HISTORY:]
        point, value, gradient = trial, new_value, new_gradient
    return point


def _loss(point: Tensor, scale: Tensor, design: Tensor, hot: Tensor, ridge: Tensor) -> tuple[float, Tensor]:
    weights = scale * point
    log_probability = (design @ weights).log_softmax(1)
    value = -(log_probability * hot).sum(1).mean() + (ridge * weights.square()).sum() / 2
    residual = (log_probability.exp() - hot) / len(design)
    return float(value), scale * (design.T @ residual + ridge * weights)


def _inverse_hessian(gradient: Tensor, steps: list[Tensor], changes: list[Tensor]) -> Tensor:
    """The two-loop recursion. Without steps it is the identity, which the scaling made a bound."""
    result, factors = gradient, []
    for step, change in zip(reversed(steps), reversed(changes), strict=True):
        factor = (step * result).sum() / (step * change).sum()
        factors.append(factor)
        result = result - factor * change
    if steps:
        result = result * ((steps[-1] * changes[-1]).sum() / changes[-1].square().sum())
    for step, change, factor in zip(steps, changes, reversed(factors), strict=True):
        result = result + (factor - (change * result).sum() / (step * change).sum()) * step
    return result
