"""Rows of a data set: how many, which ones, and as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from infopace._forward import map_tensors


def as_arrays(inputs: Any, targets: Any) -> tuple[Any, Tensor]:
    """Inputs and targets as tensors with the same number of rows; integer targets become (n,) labels."""
    inputs = _as_tensors(inputs)
    values = torch.as_tensor(targets)
    if values.is_complex() or values.ndim == 0:
        raise ValueError(
            f"targets must be labels or numbers, one a row, got {values.dtype} of {values.ndim} dimensions"
        )
    if not values.is_floating_point():
        if values.numel() != len(values):
            raise ValueError(f"integer targets must hold one label a row, got shape {tuple(values.shape)}")
        values = values.reshape(-1).long()
    lengths: list[int] = []
    map_tensors(inputs, lambda tensor: (lengths.append(len(tensor)), tensor)[1])
    if any(length != len(values) for length in lengths) or len(values) == 0:
        got = f"{' and '.join(map(str, lengths))} inputs for {len(values)} targets"
        raise ValueError(f"inputs and targets must have the same number of rows, at least one, got {got}")
    return inputs, values


def count_rows(dataset: Any) -> int:
    """Rows of (inputs, targets) or of a map-style data set."""
    if _is_pair(dataset):
        return len(as_arrays(*dataset)[1])
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ValueError(
            f"the data set must have a length and items, or be (inputs, targets), got {type(dataset).__name__}"
        )
    return len(dataset)


def stratified(dataset: Any, rows: int, n: int, seed: int) -> list[int]:
    """n of the rows at random, in ascending order; where targets are labels each class gets its rounded share."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(rows, generator=generator)
    targets = all_targets(dataset)
    if targets.is_floating_point():
        return sorted(order[:n].tolist())
    # Stable sorting by class keeps each class in random order; evenly spaced picks then give every class its share.
    order = order[torch.argsort(targets[order].cpu(), stable=True)]
    picks = (torch.arange(n, dtype=torch.float64) + 0.5) * rows / n
    return sorted(order[picks.long()].tolist())


def all_targets(dataset: Any) -> Tensor:
    """The targets of all rows."""
    if _is_pair(dataset):
        return as_arrays(*dataset)[1]
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return as_arrays(*tensors)[1]
    known = getattr(dataset, "targets", None)
    if known is not None and len(known) == len(dataset):
        return torch.as_tensor(known).cpu()
    return torch.stack([torch.as_tensor(dataset[row][1]) for row in range(len(dataset))])


def draw(dataset: Any, index: Iterable[int], seed: int) -> tuple[Any, Tensor]:
    """The rows of an index as (inputs, targets)."""
    if _is_pair(dataset):
        inputs, targets = as_arrays(*dataset)
        chosen = torch.tensor(list(index), dtype=torch.long)
        return map_tensors(inputs, lambda tensor: tensor[chosen.to(tensor.device)]), targets[
            chosen.to(targets.device)
        ]
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        items = [dataset[row] for row in index]
    return as_arrays(
        _stack([item[0] for item in items]), torch.stack([torch.as_tensor(item[1]) for item in items])
    )


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], Mapping):
        return {name: _stack([part[name] for part in parts]) for name in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(_stack(list(column)) for column in zip(*parts, strict=True))
    return torch.stack([torch.as_tensor(part) for part in parts])


def _as_tensors(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _as_tensors(part) for name, part in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_as_tensors(part) for part in inputs)
    return torch.as_tensor(inputs)


def _is_pair(dataset: Any) -> bool:
    return isinstance(dataset, tuple | list) and len(dataset) == 2 and hasattr(dataset[1], "__len__")
