"""Samples as the user has them -> checked tensors, or an error that says what was wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Squares of larger differences, summed over a million columns, would leave float64.
_LARGEST = 1e150


class OutOfRangeError(ValueError):
    """A value that no estimator takes: nan, inf, or too large to be squared."""


def as_matrix(values: Any, name: str) -> Tensor:
    """(n, ...) floating samples as a (n, d) tensor on their own device; nan and inf are refused."""
    tensor = as_tensor(values, name)
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have one row a sample, got a scalar {tensor.item()}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating, got dtype {_dtype(tensor)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(tensor.shape)}")
    tensor = tensor.reshape(len(tensor), -1)
    # Extremes carry nan along; looking for the place only where there is one spares a copy of wide layers.
    low, high = (float(extreme) for extreme in torch.aminmax(tensor))
    if not math.isfinite(high - low):
        _refuse(tensor, ~tensor.isfinite(), f"{name} must be finite")
    if max(-low, high) > _LARGEST:
        _refuse(tensor, tensor.abs() > _LARGEST, f"{name} must be within {_LARGEST:g} of 0")
    return tensor


def as_targets(values: Any, n: int, samples: str = "x", name: str = "y") -> Tensor:
    """Targets beside n samples: integers become (n,) int64 labels, floats a (n, d) matrix."""
    tensor = as_tensor(values, name)
    if tensor.ndim == 0 or len(tensor) != n:
        raise ValueError(
            f"{samples} and {name} must have the same number of rows, got {n} and {_rows(tensor)}"
        )
    if tensor.is_floating_point():
        return as_matrix(tensor, name)
    if tensor.is_complex():
        raise ValueError(f"{name} must be integer labels or floating targets, got dtype {_dtype(tensor)}")
    if tensor.numel() != n:
        raise ValueError(f"integer {name} must hold one label a row, got shape {tuple(tensor.shape)}")
    return tensor.reshape(n).long()


def as_tensor(values: Any, name: str) -> Tensor:
    """Tensors as they are, all else through numpy: Python floats stay float64, any layout is read."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be numbers, got dtype {array.dtype}")
    # torch takes neither reversed nor read-only nor foreign-endian arrays.
    array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    return torch.from_numpy(array)


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


def _refuse(matrix: Tensor, wrong: Tensor, requirement: str) -> None:
    for row, column in wrong.nonzero()[:1].tolist():
        raise OutOfRangeError(
            f"{requirement}, got {matrix[row, column].item()} at row {row}, column {column}"
        )


def _rows(tensor: Tensor) -> str:
    return "a scalar" if tensor.ndim == 0 else str(len(tensor))


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
