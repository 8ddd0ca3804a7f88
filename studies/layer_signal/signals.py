"""The candidates: outputs of a layer (n, ..) and targets -> nats."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from infopace.estimators import linear_probe_bound, mutual_information, ridge_information

Signal = Callable[[Tensor, Tensor], float]


def neighbours(values: Tensor, targets: Tensor) -> float:
    """Neighbours in the outputs as they are."""
    return _by_neighbours(values.flatten(1), targets)


def components(values: Tensor, targets: Tensor) -> float:
    """Neighbours in the first log2(n) principal components."""
    rows = values.flatten(1).double()
    rows = rows - rows.mean(0)
    wanted = len(rows).bit_length() - 1
    if rows.shape[1] <= wanted:
        return _by_neighbours(rows, targets)
    if rows.shape[1] <= len(rows):
        _, axes = torch.linalg.eigh(rows.T @ rows)
        return _by_neighbours(rows @ axes[:, -wanted:], targets)
    squares, axes = torch.linalg.eigh(rows @ rows.T)
    return _by_neighbours(axes[:, -wanted:] * squares[-wanted:].clamp(min=0).sqrt(), targets)


def ridge(values: Tensor, targets: Tensor) -> float:
    """A ridge classifier or regression, each example predicted without itself."""
    return ridge_information(values.flatten(1), targets).nats


def kernel(values: Tensor, targets: Tensor) -> float:
    """The same with a Gaussian kernel exp(-r2 / <r2>)."""
    products = _products(values)
    own = products.diagonal()
    squares = (own[:, None] + own[None, :] - 2 * products).clamp(min=0)
    return _by_kernel(torch.exp(-squares / squares.mean().clamp(min=1e-300)), targets)


def arc_cosine(values: Tensor, targets: Tensor) -> float:
    """The same with the kernel of a wide layer of random ReLU units (Cho, Saul 2009, degree 1)."""
    products = _products(values)
    size = products.diagonal().clamp(min=1e-300).sqrt()
    cosine = (products / size[:, None] / size[None, :]).clamp(-1, 1)
    angle = cosine.acos()
    similar = angle.sin() + (math.pi - angle) * cosine
    return _by_kernel(similar * size[:, None] * size[None, :] / size.square().mean() / math.pi, targets)


def projected(values: Tensor, targets: Tensor) -> float:
    """A ridge on a random projection to n/4 columns."""
    rows = values.flatten(1)
    wanted = len(rows) // 4
    if rows.shape[1] > wanted:
        draws = torch.Generator().manual_seed(0)
        rows = rows @ torch.randn(rows.shape[1], wanted, generator=draws)
    return ridge_information(rows, targets).nats


def pooled(values: Tensor, targets: Tensor) -> float:
    """A ridge on the mean over pixels (n, d, H, W) or tokens (n, T, d)."""
    over = {4: (2, 3), 3: (1,)}.get(values.ndim)
    return ridge_information(values if over is None else values.mean(over), targets).nats


def linear_probe(values: Tensor, targets: Tensor) -> float:
    """Held-out logistic regression."""
    return linear_probe_bound(values.flatten(1), targets).nats


QUICK: dict[str, Signal] = {
    "neighbours": neighbours,
    "components": components,
    "ridge": ridge,
    "kernel": kernel,
    "arc-cosine": arc_cosine,
    "projected": projected,
    "pooled": pooled,
}
SLOW = "linear-probe"
ALL: dict[str, Signal] = {**QUICK, SLOW: linear_probe}


def _products(values: Tensor) -> Tensor:
    rows = values.flatten(1).double()
    rows = rows - rows.mean(0)
    return rows @ rows.T


def _by_kernel(similar: Tensor, targets: Tensor) -> float:
    """A ridge on the columns of the kernel's Cholesky factor is a ridge with the kernel."""
    eye = torch.eye(len(similar), dtype=similar.dtype)
    return ridge_information(torch.linalg.cholesky(similar + 1e-10 * eye), targets).nats


def _by_neighbours(rows: Tensor, targets: Tensor) -> float:
    estimator = "ksg1" if targets.is_floating_point() else "ross"
    return mutual_information(
        rows, targets, estimator=estimator, standardize="block", std_error=False
    ).nats
