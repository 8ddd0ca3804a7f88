"""Samples of any kind -> checked tensors, or an error that says what was wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopace._checks import check_choice, shown, whole
from infopace.estimators._arrays import as_array

# Squares of larger differences, summed over a million columns, would overflow float64.
LARGEST = 1e150
# The kinds that torch can compare. It cannot find the largest of its 8-bit kinds.
_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


# Layouts whose zeros are left out.
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)


class OutOfRangeError(ValueError):
    """A value that no estimator takes: missing, nan, inf, or too large to be squared."""


# What to do about missing values, for functions with the argument `missing`.
DROP = '; missing="drop" leaves them out'


def as_matrix(values: Any, name: str, remedy: str = "") -> Tensor:
    """(n, ...) samples as a floating (n, d) tensor on their own device; nan and inf are refused.

    Whole numbers in several columns are a vector. In one column they would be labels, and are refused.
    """
    tensor = as_tensor(values, name, remedy)
    if tensor.ndim == 0:
        raise ValueError(
            f"{name} must be one number or vector for each example, got a scalar {tensor.item()}"
        )
    if tensor.is_complex():
        raise ValueError(f"{name} must be floating, got dtype {_dtype(tensor)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        if tensor.numel() == len(tensor):
            raise ValueError(
                f"{name} must be floating, got one column of labels (whole numbers or text); give a quantity as"
                " floats, or labels as columns of 0 and 1"
            )
        tensor = _floating(tensor)
    tensor = tensor.reshape(len(tensor), -1)
    # The extremes are nan where any value is. Only then the place is searched, which would copy wide layers.
    low, high = (float(extreme) for extreme in torch.aminmax(tensor))
    if not math.isfinite(high - low):
        if math.isnan(low):
            _refuse_missing(tensor.isnan(), f"{name} must be finite, got nan", remedy)
        _refuse(tensor, ~tensor.isfinite(), f"{name} must be finite")
    if max(-low, high) > LARGEST:
        _refuse(tensor, tensor.abs() > LARGEST, f"{name} must be within {LARGEST:g} of 0")
    return tensor


def as_targets(values: Any, n: int, samples: str = "x", name: str = "y", remedy: str = "") -> Tensor:
    """Targets of n examples: one column of labels becomes (n,) int64, all else a floating (n, d) matrix."""
    tensor = as_tensor(values, name, remedy)
    if tensor.ndim == 0 or len(tensor) != n:
        raise ValueError(
            f"{samples} and {name} must have the same number of examples, got {n} and {_length(tensor)}"
        )
    if tensor.is_complex():
        raise ValueError(f"{name} must be integer labels or floating targets, got dtype {_dtype(tensor)}")
    if tensor.is_floating_point() or tensor.numel() != n:
        return as_matrix(tensor, name, remedy)
    return tensor.reshape(n).long()


def as_labels(values: Any, name: str = "labels") -> Tensor:
    """One column of labels as (n,) int64; floats and several columns are refused."""
    tensor = as_tensor(values, name)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.ndim == 0 or tensor.numel() != len(tensor):
        raise ValueError(
            f"{name} must be whole numbers or text, one for each example, got {_dtype(tensor)} of shape"
            f" {tuple(tensor.shape)}"
        )
    return tensor.reshape(-1).long()


def as_classes(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) labels -> (n,) class numbers 0..C-1 and (C,) class sizes."""
    _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    return classes, sizes


def as_class_numbers(values: Any, name: str, columns: str) -> Tensor:
    """Labels that are numbers of columns; text is refused, because it has no such number."""
    return as_labels(as_numbers(values, name, columns), name)


def as_numbers(values: Any, name: str, what: str = "numbers in one array") -> Tensor:
    """As `as_tensor`, but text and other labels are refused, because their numbers would be arbitrary."""
    if not isinstance(values, Tensor) and as_array(values, name).coded:
        raise ValueError(f"{name} must be {what}, got text or other labels without a number; number them")
    return as_tensor(values, name)


def is_labels(tensor: Tensor) -> bool:
    """Whether these are labels: one column of whole numbers."""
    whole = not (tensor.is_floating_point() or tensor.is_complex())
    return whole and tensor.ndim > 0 and tensor.numel() == len(tensor) > 0


def labels_of_one_hot(tensor: Tensor) -> Tensor:
    """Rows of zeros with one 1 as whole numbers, the column of the 1; all else stays as it is."""
    if tensor.ndim != 2 or tensor.shape[1] < 2 or tensor.is_complex() or not _is_binary(tensor):
        return tensor
    return tensor.long().argmax(1) if bool((tensor.long().sum(1) == 1).all()) else tensor


def labels_of_rows(tensor: Tensor) -> Tensor:
    """Several labels an example, as whole numbers or booleans 0 and 1: every set of labels is one label."""
    if tensor.ndim != 2 or tensor.shape[1] < 2 or tensor.is_floating_point() or tensor.is_complex():
        return tensor
    return torch.unique(tensor, dim=0, return_inverse=True)[1] if _is_binary(tensor) else tensor


def _is_binary(tensor: Tensor) -> bool:
    return tensor.numel() > 0 and bool(((tensor == 0) | (tensor == 1)).all())


def check_same_number(n: int, others: int, first: str, second: str) -> None:
    """Both must have the same number of examples."""
    if n != others:
        raise ValueError(f"{first} and {second} must have the same number of examples, got {n} and {others}")


def as_tensor(values: Any, name: str, remedy: str = "") -> Tensor:
    """Samples as a tensor. Tensors stay as they are, all else goes through numpy, so Python floats stay float64.

    Labels of any kind become whole numbers. Missing values are refused, except nan, which the caller checks.
    """
    tensor, missing = _read(values, name)
    if missing is not None:
        _refuse_missing(missing, f"{name} must have no missing values, got some", remedy)
    return tensor


def complete_examples(blocks: dict[str, Any], missing: str) -> tuple[list[Tensor], int]:
    """Blocks of samples, by name, as tensors, and how many examples were left out.

    "refuse" leaves out none. "drop" leaves out those that lack a value in any block, nan included.
    """
    check_choice("missing", missing, ("refuse", "drop"))
    if missing == "refuse":
        return [as_tensor(values, name, DROP) for name, values in blocks.items()], 0
    read = {name: _read(values, name) for name, values in blocks.items()}
    tensors = [tensor for tensor, _ in read.values()]
    lengths = [len(tensor) if tensor.ndim else -1 for tensor in tensors]
    if len(set(lengths)) > 1 or -1 in lengths:
        names, counts = " and ".join(blocks), " and ".join(map(_length, tensors))
        raise ValueError(f"{names} must have the same number of examples, got {counts}")
    whole = torch.ones(lengths[0], dtype=torch.bool)
    for tensor, gaps in read.values():
        holes = tensor.isnan() if gaps is None else gaps
        whole &= ~holes.reshape(len(whole), -1).any(1).cpu() if tensor.numel() else True
    if not whole.any() and len(whole):
        raise ValueError(f"an example must have no missing value, got {len(whole)} of {len(whole)} with one")
    if whole.all():
        return tensors, 0
    return [tensor[whole.to(tensor.device)] for tensor in tensors], int((~whole).sum())


def _read(values: Any, name: str) -> tuple[Tensor, Tensor | None]:
    """The tensor, and where values are missing, nan apart."""
    if isinstance(values, Tensor):
        values = values.detach()
        if values.layout in _SPARSE:
            values = values.to_dense()
        return check_plain(values, name), None
    found = as_array(values, name)
    array, missing = found.array, found.missing
    # torch refuses reversed, read-only and foreign-endian arrays.
    array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    if missing is None or not missing.any():
        return torch.from_numpy(array), None
    if array.dtype.kind in "fc":
        missing = missing | np.isnan(array)
    return torch.from_numpy(array), torch.from_numpy(np.require(missing, requirements=["C", "W"]))


def _floating(tensor: Tensor) -> Tensor:
    """Whole numbers as floats that hold them exactly: float32 has 24 bits."""
    narrow = tensor.dtype in (torch.bool, torch.uint8, torch.int8, torch.int16)
    return tensor.to(torch.float32 if narrow else torch.float64)


def check_plain(tensor: Tensor, name: str) -> Tensor:
    """Refuse tensors that are not dense values: sparse, nested, quantised or on the meta device."""
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


def check_neighbours(k: object, n: int) -> int:
    """k as an int, if n examples have a k-th neighbour."""
    number = whole("k", k)
    if not 1 <= number < n:
        raise ValueError(f"k must be in 1..n-1, got k = {shown(number)} with n = {n}")
    return number


def _refuse(matrix: Tensor, wrong: Tensor, requirement: str) -> None:
    for example, column in wrong.nonzero()[:1].tolist():
        value = matrix[example, column].item()
        raise OutOfRangeError(f"{requirement}, got {value} at example {example}, column {column}")


def _refuse_missing(missing: Tensor, got: str, remedy: str) -> None:
    """Refuse missing values, with how many examples have one and where the first is."""
    matrix = missing.reshape(len(missing), -1) if missing.ndim else missing.reshape(1, 1)
    example, column = matrix.nonzero()[0].tolist()
    count = f"{int(matrix.any(1).sum())} of {len(matrix)} examples"
    raise OutOfRangeError(f"{got} in {count}, first at example {example}, column {column}{remedy}")


def _length(tensor: Tensor) -> str:
    return "a scalar" if tensor.ndim == 0 else str(len(tensor))


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
