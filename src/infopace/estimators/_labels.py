"""Class labels: their entropy, and the classes as consecutive numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace.estimators._inputs import as_labels


def entropy(labels: Any) -> float:
    """Entropy of the empirical distribution of labels (n,) of any hashable kind, in nats.

    H(Y) = -sum_c p_c ln p_c with p_c = N_c / n. For labels that are a function of the input it is also
    I(X;Y), the most that any layer can carry about them (Cover & Thomas 2006, eq. 2.1).

    >>> round(entropy([0, 0, 1, 1]), 4)
    0.6931
    >>> round(entropy(["cat", "dog", "cat", "dog"]), 4)
    0.6931

    Raises:
        ValueError: floats, several columns, missing values, no labels.
    """
    values = as_labels(labels)
    if values.numel() == 0:
        raise ValueError(f"labels must not be empty, got shape {tuple(values.shape)}")
    _, counts = as_classes(values)
    shares = counts.double() / counts.sum()
    # The absolute value turns the -0.0 of a single class into 0.0.
    return float((shares * shares.log()).sum().abs())


def as_classes(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) labels -> (n,) class numbers 0..C-1 and (C,) class sizes."""
    _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    return classes, sizes
