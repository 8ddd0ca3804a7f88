"""Samples as the user has them -> checked tensors, or an error that says what was wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def as_matrix(values: Any, name: str) -> Tensor:
    """(n, ...) floating samples as a (n, d) tensor on their own device; nan and inf are refused."""
    tensor = torch.as_tensor(values).detach()
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have one row a sample, got a scalar {tensor.item()}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating, got dtype {_dtype(tensor)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(tensor.shape)}")
    tensor = tensor.reshape(len(tensor), -1)
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        row, column = (int(index) for index in (~finite).nonzero()[0])
        raise ValueError(
            f"{name} must be finite, got {tensor[row, column].item()} at row {row}, column {column}"
        )
    return tensor


def as_targets(values: Any, n: int) -> Tensor:
    """Targets beside n samples: integers become (n,) int64 labels, floats a (n, d) matrix."""
    tensor = torch.as_tensor(values).detach()
    if tensor.ndim == 0 or len(tensor) != n:
        raise ValueError(f"x and y must have the same number of rows, got {n} and {_rows(tensor)}")
    if tensor.is_floating_point():
        return as_matrix(tensor, "y")
    if tensor.is_complex():
        raise ValueError(f"y must be integer labels or floating targets, got dtype {_dtype(tensor)}")
    if tensor.numel() != n:
        raise ValueError(f"integer y must hold one label a row, got shape {tuple(tensor.shape)}")
    return tensor.reshape(n).long()


def check_neighbours(k: int, n: int) -> None:
    """A k-th neighbour needs k other rows."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise ValueError(f"k must be an integer, got {k!r}")
    if not 1 <= k < n:
        raise ValueError(f"k must be in 1..n-1, got k = {k} with n = {n}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """One of a few words."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def _rows(tensor: Tensor) -> str:
    return "a scalar" if tensor.ndim == 0 else str(len(tensor))


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
