"""Rows of a data set: how many, which ones, and as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from infopace._checks import shown
from infopace.estimators._inputs import check_plain
from infopace.model.forward import map_tensors, tensors_of
from infopace.model.random_state import generators_kept, generators_of, random_state_kept, seed_generators
from infopace.probe.batches import Items, Unpack, as_tensors, numbers


def as_arrays(inputs: Any, targets: Any) -> tuple[Any, Tensor]:
    """Inputs and targets as tensors with the same number of rows; integer targets become (n,) labels."""
    inputs = as_tensors(inputs)
    values = check_plain(numbers(targets, "targets"), "targets")
    if values.is_complex() or values.ndim == 0:
        raise ValueError(
            f"targets must be labels or numbers, one a row, got {values.dtype} of {values.ndim} dimensions"
        )
    if not values.is_floating_point():
        if values.numel() != len(values):
            raise ValueError(f"integer targets must hold one label a row, got shape {tuple(values.shape)}")
        values = values.reshape(-1).long()
    parts = tensors_of(inputs)
    if not parts:
        raise ValueError(f"inputs must hold at least one tensor, got {shown(inputs)}")
    if any(part.is_meta for part in parts):
        raise ValueError("inputs must have values, got a tensor on the meta device")
    if any(part.ndim == 0 for part in parts):
        raise ValueError("inputs must have one row a sample, got a single number among them")
    lengths = [len(part) for part in parts]
    if any(length != len(values) for length in lengths) or len(values) == 0:
        got = f"{' and '.join(map(str, lengths))} inputs for {len(values)} targets"
        raise ValueError(f"inputs and targets must have the same number of rows, at least one, got {got}")
    return inputs, values


def count_rows(dataset: Any) -> int:
    """Rows of (inputs, targets) or of a map-style data set."""
    if _is_pair(dataset):
        return len(as_arrays(*dataset)[1])
    indexed = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not indexed or isinstance(dataset, IterableDataset | type):
        raise ValueError(
            f"the data set must have a length and items, or be (inputs, targets), got {type(dataset).__name__}"
        )
    return len(dataset)


def stratified(dataset: Any, rows: int, n: int, seed: int, unpack: Unpack | None = None) -> list[int]:
    """n of the rows at random, in ascending order; where targets are labels each class gets its rounded share."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(rows, generator=generator)
    targets = all_targets(dataset, seed, unpack)
    if targets.is_floating_point():
        return sorted(order[:n].tolist())
    # Stable sorting by class keeps each class in random order; evenly spaced picks then give every class its share.
    order = order[torch.argsort(targets[order].cpu(), stable=True)]
    picks = (torch.arange(n, dtype=torch.float64) + 0.5) * rows / n
    return sorted(order[picks.long()].tolist())


def all_targets(dataset: Any, seed: int = 0, unpack: Unpack | None = None) -> Tensor:
    """The targets of all rows; the seed is for items that are made as they are asked for."""
    if _is_pair(dataset):
        return as_arrays(*dataset)[1]
    if unpack is None:
        tensors = getattr(dataset, "tensors", None)
        if isinstance(tensors, tuple) and len(tensors) == 2:
            return as_arrays(*tensors)[1]
        known = getattr(dataset, "targets", None)
        if known is not None and len(known) == len(dataset):
            return numbers(known, "targets").cpu()
    return _stack(_read(dataset, range(len(dataset)), seed, unpack, lambda pair: pair[1]), "targets")


def draw(dataset: Any, index: Iterable[int], seed: int, unpack: Unpack | None = None) -> tuple[Any, Tensor]:
    """The rows of an index as (inputs, targets)."""
    if _is_pair(dataset):
        inputs, targets = as_arrays(*dataset)
        chosen = torch.tensor(list(index), dtype=torch.long)
        return map_tensors(inputs, lambda tensor: tensor[chosen.to(tensor.device)]), targets[
            chosen.to(targets.device)
        ]
    items = _read(dataset, index, seed, unpack, lambda pair: pair)
    return as_arrays(
        _stack([item[0] for item in items], "inputs"), _stack([item[1] for item in items], "targets")
    )


def _read(
    dataset: Any,
    index: Iterable[int],
    seed: int,
    unpack: Unpack | None,
    keep: Callable[[tuple[Any, Any]], Any],
) -> list[Any]:
    """Of (input, target) of each row what is kept; random numbers begin at the seed, and leave no trace."""
    items, own = Items(unpack), generators_of(dataset)
    with random_state_kept(seed=seed), generators_kept(own):
        seed_generators(own, seed)
        found = [keep(items.split(dataset[row])) for row in index]
    items.check()
    return found


def _stack(parts: list[Any], name: str) -> Any:
    first = parts[0]
    if name == "inputs" and isinstance(first, Mapping):
        _check_alike([sorted(map(str, part)) if isinstance(part, Mapping) else type(part) for part in parts])
        return {key: _stack([part[key] for part in parts], name) for key in first}
    # As in torch's own batches a list of tensors is one of arguments, of numbers one row.
    if name == "inputs" and (
        isinstance(first, tuple) or (isinstance(first, list) and any(isinstance(x, Tensor) for x in first))
    ):
        _check_alike(
            [f"{len(part)} parts" if isinstance(part, tuple | list) else type(part) for part in parts]
        )
        return tuple(_stack(list(column), name) for column in zip(*parts, strict=True))
    rows = [numbers(part, name) for part in parts]
    shapes = {tuple(row.shape) for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} must have one shape in all rows, got {' and '.join(map(str, sorted(shapes)[:2]))}"
        )
    return torch.stack(rows)


def _check_alike(kinds: list[Any]) -> None:
    other = next((kind for kind in kinds if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(f"inputs must be alike in all examples, got {kinds[0]} and {other}")


def _is_pair(dataset: Any) -> bool:
    return isinstance(dataset, tuple | list) and len(dataset) == 2 and hasattr(dataset[1], "__len__")
