"""Samples of any library -> one numpy array of numbers, and where values are missing."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from torch import Tensor

_REMEDY = {
    "M": "dates; give a number, such as seconds since the first",
    "m": "time spans; give a number, such as seconds",
    "V": "named fields; give one of them",
}


@dataclass(frozen=True)
class Samples:
    """What was read.

    Attributes:
        array: Numbers.
        missing: Mask of the same shape, True where a value is missing. None: no value is missing, nan apart.
        coded: Whether the numbers stand for labels that are not numbers. They follow the order of the labels.
    """

    array: np.ndarray
    missing: np.ndarray | None = None
    coded: bool = False


def as_array(values: Any, name: str) -> Samples:
    """Samples of any kind as an array of numbers.

    Text and other hashable things are labels. One column of labels becomes the numbers of its distinct values.
    It reads arrays (masked ones with their mask), lists, tables and columns of pandas (nullable types and categories
    too), arrays of Arrow, and whatever converts to an array.
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        values = values.toarray()  # A sparse matrix of scipy.
    if _is_table(values):
        return _of_table(values, name)
    if hasattr(values, "isna"):
        return _of_column(values, name)
    if hasattr(values, "to_pylist"):  # Arrow would turn integers with a gap into floats.
        return _of_objects(_objects(values.to_pylist(), name), name)
    if isinstance(values, list | tuple) and values:
        if any(isinstance(value, np.ma.MaskedArray) for value in values):
            values = np.ma.stack(values)
        elif all(isinstance(value, Tensor) for value in values):
            values = torch.stack([value.detach().cpu() for value in values]).numpy()
    if isinstance(values, np.ma.MaskedArray):
        return _of_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{name} must have equally many numbers in every example, got {error}") from error
    if array.dtype.kind in "US" and not hasattr(values, "dtype"):
        # In a list of words with None or nan numpy would turn these into words.
        array = np.asarray(values, dtype=object)
    if array.ndim == 0 and array.dtype.kind == "O":
        raise ValueError(f"{name} must be numbers or labels, one for each example, got {_kind(values)}")
    return _of_array(array, name)


def _of_array(array: np.ndarray, name: str) -> Samples:
    kind = array.dtype.kind
    if kind in "OT":  # T: numpy's strings of any length.
        return _of_objects(array.astype(object), name)
    if kind in "US":
        if array.ndim == 2 and array.shape[1] > 1:
            return _of_rows(array.astype(object), np.zeros(array.shape, bool), name)
        _check_one_column(array, name)
        number = np.unique(array.reshape(-1), return_inverse=True)[1]
        return Samples(number.reshape(array.shape), coded=True)
    if kind not in "biufc":
        raise ValueError(f"{name} must be numbers or labels, got {_REMEDY.get(kind, f'dtype {array.dtype}')}")
    if kind in "fc" and array.dtype.itemsize > (8 if kind == "f" else 16):
        array = array.astype(np.float64 if kind == "f" else np.complex128)  # torch has no longer floats.
    return Samples(array)


def _of_masked(values: np.ma.MaskedArray, name: str) -> Samples:
    """What lies under the mask is ignored: it decides neither a kind nor a label."""
    missing = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if not missing.any():
        return _of_array(data, name)
    if data.dtype.kind in "OTUS":
        objects = data.astype(object)
        objects[missing] = None
        return _of_objects(objects, name)
    return replace(_of_array(np.where(missing, np.zeros((), data.dtype), data), name), missing=missing)


def _of_column(values: Any, name: str) -> Samples:
    """A column of pandas. The values keep their kind, whatever is missing among them."""
    missing = np.asarray(values.isna(), dtype=bool)
    if missing.ndim != 1:
        raise ValueError(f"{name} must be numbers or labels, one for each example, got {_kind(values)}")
    present = values[~missing] if missing.any() else values
    if _is_category(getattr(values, "dtype", None)):
        found = _of_objects(np.asarray(present.astype(object)), name, labels=True)
    else:
        found = _of_array(np.asarray(present), name)
    if not missing.any():
        return found
    array = np.zeros((len(missing), *found.array.shape[1:]), found.array.dtype)
    array[~missing] = found.array
    return replace(found, array=array, missing=missing)


def _of_table(values: Any, name: str) -> Samples:
    """A table of pandas. Several columns are a vector, so they must be numbers."""
    if not any(map(_is_category, values.dtypes)):
        array = np.asarray(values)
        if array.dtype.kind in "biufc" and not (array.dtype.kind == "f" and array.shape[1] == 1):
            return Samples(array)
    if len(values.columns) == 0:
        return Samples(np.empty((len(values), 0)))
    if len(values.columns) > 1 and all(
        map(_holds_labels, (values.iloc[:, i] for i in range(values.shape[1])))
    ):
        return _of_objects(np.asarray(values.astype(object)), name, labels=True)
    columns: list[Samples] = []
    for place, title in enumerate(values.columns):
        column = values.iloc[:, place]
        columns.append(_of_column(column, name))
        if len(values.columns) > 1 and (columns[-1].coded or _is_category(column.dtype)):
            raise ValueError(
                f"{name} must be numbers or one column of labels, got labels in column {str(title)!r}"
                f" of {len(values.columns)}; give that column alone, or its values as columns of 0 and 1"
            )
    gaps = [np.zeros(len(c.array), bool) if c.missing is None else c.missing for c in columns]
    array = np.column_stack([column.array for column in columns])
    return Samples(array, np.column_stack(gaps), columns[0].coded)


def _of_objects(objects: np.ndarray, name: str, labels: bool = False) -> Samples:
    """Python objects: numbers if all are numbers, else labels. None, nan and pandas' NA and NaT are missing."""
    missing = np.array([_is_missing(value) for value in objects.flat], dtype=bool).reshape(objects.shape)
    if labels and objects.ndim == 2 and objects.shape[1] > 1:
        return _of_rows(objects, missing, name)
    present = objects[~missing].tolist()
    whole = all(isinstance(value, numbers.Integral | np.bool_) for value in present)
    coded = False
    # A number beyond 64 bits is a label like any other.
    if whole and all(-(2**63) <= value < 2**63 for value in present):
        found = np.array(present, dtype=np.int64)
    elif not (whole or labels) and all(
        isinstance(value, numbers.Real | Decimal | np.bool_) for value in present
    ):
        found = np.array([float(value) for value in present])
    else:
        if objects.ndim == 2 and objects.shape[1] > 1 and all(isinstance(v, str | bytes) for v in present):
            return _of_rows(objects, missing, name)
        _check_one_column(objects, name)
        found, coded = _codes(present, name), True
    array = np.zeros(objects.shape, found.dtype)
    array[~missing] = found
    return Samples(array, missing if missing.any() else None, coded)


def _of_rows(objects: np.ndarray, missing: np.ndarray, name: str) -> Samples:
    """Several columns of words: every combination is one label. Those that hardly repeat are no labels."""
    if 2 * len(set(map(tuple, objects.tolist()))) > len(objects):
        _check_one_column(objects, name)
    gaps = np.asarray(missing.any(1), dtype=bool)
    found = np.zeros(len(objects), dtype=np.int64)
    found[~gaps] = _codes([tuple(row) for row in objects[~gaps].tolist()], name)
    return Samples(found, gaps if gaps.any() else None, True)


def _codes(values: list[Any], name: str) -> np.ndarray:
    """The number of each value among the distinct ones. It does not depend on the order of the examples."""
    try:
        distinct = set(values)
    except TypeError:
        kinds = {type(value).__name__ for value in values if type(value).__hash__ is None} or {"such a tuple"}
        raise ValueError(f"labels {name} must be hashable, got {' and '.join(sorted(kinds))}") from None
    ordered = sorted(distinct, key=lambda value: (type(value).__name__, repr(value)))
    number = {value: place for place, value in enumerate(ordered)}
    return np.array([number[value] for value in values], dtype=np.int64)


def _check_one_column(labels: np.ndarray, name: str) -> None:
    if labels.ndim == 0 or labels.size != len(labels):
        raise ValueError(
            f"{name} must be numbers or one column of labels, got labels of shape {labels.shape};"
            " give one column, or its values as columns of 0 and 1"
        )


def _objects(values: list[Any], name: str) -> np.ndarray:
    """(n,) objects, or (n, d) where each is a list of d."""
    try:
        return np.array(values, dtype=object)
    except ValueError as error:
        raise ValueError(f"{name} must have equally many numbers in every example, got {error}") from error


def _is_missing(value: Any) -> bool:
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # nan and NaT differ from themselves.
    except TypeError:  # pandas' NA is neither equal nor different
        return True
    except ValueError:  # an array inside an array
        return False


def _is_category(dtype: Any) -> bool:
    return hasattr(dtype, "categories")


def _holds_labels(column: Any) -> bool:
    """Whether a column of a table holds words or categories."""
    dtype = column.dtype
    return _is_category(dtype) or (
        getattr(dtype, "kind", "O") in "OTUS"
        and all(isinstance(value, str) or _is_missing(value) for value in column)
    )


def _is_table(values: Any) -> bool:
    return hasattr(values, "isna") and hasattr(values, "columns") and hasattr(values, "iloc")


def _kind(values: Any) -> str:
    hint = "; give its toarray()" if hasattr(values, "toarray") else ""
    return type(values).__name__ + hint
