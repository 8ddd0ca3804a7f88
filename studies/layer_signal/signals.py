"""The candidates: outputs of a layer (n, ..) and targets -> nats."""

from __future__ import annotations

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
    return _by_neighbours(_components(values), targets)


def ridge(values: Tensor, targets: Tensor) -> float:
    """A ridge classifier or regression, each example predicted without itself."""
    return ridge_information(values.flatten(1), targets).nats


def component_ridge(values: Tensor, targets: Tensor) -> float:
    """The same in the first log2(n) principal components."""
    return ridge_information(_components(values), targets).nats


def component_kernel(values: Tensor, targets: Tensor) -> float:
    """The same in the first log2(n) principal components, with a Gaussian kernel."""
    return kernel(_components(values), targets)


def kernel(values: Tensor, targets: Tensor) -> float:
    """The same with a Gaussian kernel exp(-r2 / <r2>), of which the factor of Cholesky is the columns."""
    rows = values.flatten(1).double()
    rows = rows - rows.mean(0)
    products = rows @ rows.T
    own = products.diagonal()
    squares = (own[:, None] + own[None, :] - 2 * products).clamp(min=0)
    similar = torch.exp(-squares / squares.mean().clamp(min=1e-300))
    eye = torch.eye(len(rows), dtype=similar.dtype)
    return ridge_information(torch.linalg.cholesky(similar + 1e-10 * eye), targets).nats


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
    "component-ridge": component_ridge,
    "component-kernel": component_kernel,
    "projected": projected,
    "pooled": pooled,
}
# Measured on every seed; the others on the first one, but for california-housing.
ON_ALL = ("neighbours", "components", "ridge")
SLOW = "linear-probe"
ALL: dict[str, Signal] = {**QUICK, SLOW: linear_probe}


def _components(values: Tensor) -> Tensor:
    """The first log2(n) principal components of outputs (n, ..)."""
    rows = values.flatten(1).double()
    rows = rows - rows.mean(0)
    wanted = len(rows).bit_length() - 1
    if rows.shape[1] <= wanted:
        return rows
    if rows.shape[1] <= len(rows):
        _, axes = torch.linalg.eigh(rows.T @ rows)
        return rows @ axes[:, -wanted:]
    squares, axes = torch.linalg.eigh(rows @ rows.T)
    return axes[:, -wanted:] * squares[-wanted:].clamp(min=0).sqrt()


def _by_neighbours(rows: Tensor, targets: Tensor) -> float:
    estimator = "ksg1" if targets.is_floating_point() else "ross"
    return mutual_information(rows, targets, estimator=estimator, standardize="block", std_error=False).nats
