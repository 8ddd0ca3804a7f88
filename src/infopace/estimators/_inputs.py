"""Samples as the user has them -> checked tensors, or an error that says what was wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopace._checks import shown, whole

# Squares of larger differences, summed over a million columns, would leave float64.
_LARGEST = 1e150
# What torch can compare; of its 8-bit kinds it cannot find the largest.
_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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
        return check_plain(values.detach(), name)
    try:
        array = np.asarray(values)
    except ValueError as error:  # numpy's, of a ragged list
        raise ValueError(f"{name} must be numbers in one array, got {kind_of(values)}") from error
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be numbers, got {kind_of(values, array)}")
    # torch takes neither reversed nor read-only nor foreign-endian arrays.
    array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    return torch.from_numpy(array)


def check_plain(tensor: Tensor, name: str) -> Tensor:
    """A tensor whose values are there, each in its place: not sparse, nested, quantised or on the meta device."""
    kind = ""
    if tensor.is_nested:
        kind = "a nested tensor"
    elif tensor.layout != torch.strided:
        kind = f"a tensor of layout {str(tensor.layout).removeprefix('torch.')}"
    elif tensor.is_meta:
        kind = "a tensor on the meta device"
    elif tensor.is_quantized:
        kind = f"a quantized tensor of dtype {_dtype(tensor)}"
    elif tensor.is_floating_point() and tensor.dtype not in _FLOATING:
        kind = f"a tensor of dtype {_dtype(tensor)}"
    if kind:
        raise ValueError(f"{name} must be a dense tensor with values to compare, got {kind}")
    return tensor


def kind_of(values: Any, array: np.ndarray | None = None) -> str:
    """What was given where an array of numbers is needed, in a few words."""
    if values is None or (array is not None and array.ndim == 0 and array.dtype.kind in "US"):
        return shown(values)
    if array is not None and (array.ndim or array.dtype.kind != "O"):
        return f"dtype {shown(array.dtype)}" if array.dtype.names else f"dtype {array.dtype}"
    kind = type(values).__name__
    return f"{kind} of {type(values[0]).__name__}" if isinstance(values, list | tuple) and values else kind


def check_neighbours(k: object, n: int) -> int:
    """A k-th neighbour needs k other rows."""
    number = whole("k", k)
    if not 1 <= number < n:
        raise ValueError(f"k must be in 1..n-1, got k = {shown(number)} with n = {n}")
    return number


def _refuse(matrix: Tensor, wrong: Tensor, requirement: str) -> None:
    for row, column in wrong.nonzero()[:1].tolist():
        raise ValueError(f"{requirement}, got {matrix[row, column].item()} at row {row}, column {column}")


def _rows(tensor: Tensor) -> str:
    return "a scalar" if tensor.ndim == 0 else str(len(tensor))


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
