"""Class labels: their entropy, and the classes as consecutive numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace.estimators._inputs import as_targets, as_tensor


def entropy(labels: Any) -> float:
    """Entropy of the empirical distribution of integer labels (n,), in nats.

    H(Y) = -sum_c p_c ln p_c with p_c = N_c / n. For labels that are a function of the input it is also
    I(X;Y), the most that any layer can carry about them (Cover & Thomas 2006, eq. 2.1).

    >>> round(entropy([0, 0, 1, 1]), 4)
    0.6931
    """
    values = as_tensor(labels, "labels")
    if values.ndim == 0 or values.numel() == 0 or values.is_floating_point():
        dtype = str(values.dtype).removeprefix("torch.")
        raise ValueError(f"labels must be integers, one a row, got {dtype} of shape {tuple(values.shape)}")
    _, counts = as_classes(as_targets(values, len(values), name="labels"))
    shares = counts.double() / counts.sum()
    # The absolute value turns the -0.0 of a single class into 0.0.
    return float((shares * shares.log()).sum().abs())


def as_classes(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) labels -> (n,) class numbers 0..C-1 and (C,) class sizes."""
    _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    return classes, sizes
