"""Examples of a data set: how many there are, which ones to draw, and as tensors."""

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


def as_examples(inputs: Any, targets: Any) -> tuple[Any, Tensor]:
    """Inputs and targets as tensors of equal length; integer targets become (n,) labels."""
    inputs = as_tensors(inputs)
    values = check_plain(numbers(targets, "targets"), "targets")
    if values.is_complex() or values.ndim == 0:
        raise ValueError(
            f"targets must be labels or numbers, one per example, got {values.dtype} of {values.ndim} dimensions"
        )
    if not values.is_floating_point():
        if values.numel() != len(values):
            raise ValueError(
                f"integer targets must hold one label per example, got shape {tuple(values.shape)}"
            )
        values = values.reshape(-1).long()
    parts = tensors_of(inputs)
    if not parts:
        raise ValueError(f"inputs must hold at least one tensor, got {shown(inputs)}")
    if any(part.is_meta for part in parts):
        raise ValueError("inputs must have values, got a tensor on the meta device")
    if any(part.ndim == 0 for part in parts):
        raise ValueError("inputs must have one entry per example, got a single number among them")
    lengths = [len(part) for part in parts]
    if any(length != len(values) for length in lengths) or len(values) == 0:
        got = f"{' and '.join(map(str, lengths))} inputs for {len(values)} targets"
        raise ValueError(f"inputs and targets must be equally many, at least one, got {got}")
    return inputs, values


def count_examples(dataset: Any) -> int:
    """Number of examples in (inputs, targets) or in a map-style data set."""
    if _is_pair(dataset):
        return len(as_examples(*dataset)[1])
    indexed = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not indexed or isinstance(dataset, IterableDataset | type):
        raise ValueError(
            f"the data set must have a length and items, or be (inputs, targets), got {type(dataset).__name__}"
        )
    return len(dataset)


def stratified(dataset: Any, count: int, n: int, seed: int, unpack: Unpack | None = None) -> list[int]:
    """Random indices of n examples of `count`, ascending. If targets are labels, each class gets its rounded share."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)
    targets = all_targets(dataset, seed, unpack)
    if targets.is_floating_point():
        return sorted(order[:n].tolist())
    # A stable sort by class keeps each class in random order. Evenly spaced picks give every class its share.
    order = order[torch.argsort(targets[order].cpu(), stable=True)]
    picks = (torch.arange(n, dtype=torch.float64) + 0.5) * count / n
    return sorted(order[picks.long()].tolist())


def all_targets(dataset: Any, seed: int = 0, unpack: Unpack | None = None) -> Tensor:
    """The targets of all examples. The seed is for items that are made with random numbers."""
    if _is_pair(dataset):
        return as_examples(*dataset)[1]
    if unpack is None:
        tensors = getattr(dataset, "tensors", None)
        if isinstance(tensors, tuple) and len(tensors) == 2:
            return as_examples(*tensors)[1]
        known = getattr(dataset, "targets", None)
        if known is not None and len(known) == len(dataset):
            return numbers(known, "targets").cpu()
    return _stack(_read(dataset, range(len(dataset)), seed, unpack, lambda pair: pair[1]), "targets")


def draw(dataset: Any, index: Iterable[int], seed: int, unpack: Unpack | None = None) -> tuple[Any, Tensor]:
    """The examples of an index as (inputs, targets)."""
    if _is_pair(dataset):
        inputs, targets = as_examples(*dataset)
        chosen = torch.tensor(list(index), dtype=torch.long)
        return map_tensors(inputs, lambda tensor: tensor[chosen.to(tensor.device)]), targets[
            chosen.to(targets.device)
        ]
    items = _read(dataset, index, seed, unpack, lambda pair: pair)
    return as_examples(
        _stack([item[0] for item in items], "inputs"), _stack([item[1] for item in items], "targets")
    )


def _read(
    dataset: Any,
    index: Iterable[int],
    seed: int,
    unpack: Unpack | None,
    keep: Callable[[tuple[Any, Any]], Any],
) -> list[Any]:
    """What `keep` takes of each (input, target). Random numbers start from the seed, and their states are restored."""
    items, own = Items(unpack), generators_of(dataset)
    with random_state_kept(seed=seed), generators_kept(own):
        seed_generators(own, seed)
        found = [keep(items.split(dataset[i])) for i in index]
    items.check()
    return found


def _stack(parts: list[Any], name: str) -> Any:
    first = parts[0]
    if name == "inputs" and isinstance(first, Mapping):
        _check_alike([sorted(map(str, part)) if isinstance(part, Mapping) else type(part) for part in parts])
        return {key: _stack([part[key] for part in parts], name) for key in first}
    # As in torch's own batches, a list of tensors is a list of arguments, and a list of numbers is one example.
    if name == "inputs" and (
        isinstance(first, tuple) or (isinstance(first, list) and any(isinstance(x, Tensor) for x in first))
    ):
        _check_alike(
            [f"{len(part)} parts" if isinstance(part, tuple | list) else type(part) for part in parts]
        )
        return tuple(_stack(list(column), name) for column in zip(*parts, strict=True))
    examples = [numbers(part, name) for part in parts]
    shapes = {tuple(example.shape) for example in examples}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} must have one shape in all examples, got {' and '.join(map(str, sorted(shapes)[:2]))}"
        )
    return torch.stack(examples)


def _check_alike(kinds: list[Any]) -> None:
    other = next((kind for kind in kinds if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(f"inputs must have one structure in all examples, got {kinds[0]} and {other}")


def _is_pair(dataset: Any) -> bool:
    return isinstance(dataset, tuple | list) and len(dataset) == 2 and hasattr(dataset[1], "__len__")
