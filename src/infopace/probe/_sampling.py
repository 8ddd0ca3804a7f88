"""Examples of a data set: which ones to draw, and as tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sized
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import default_collate

from infopace._checks import shown, whole
from infopace.estimators._inputs import check_plain, is_labels
from infopace.model.forward import is_column, map_tensors, tensors_of
from infopace.probe._sources import Source
from infopace.probe.batches import Items, Unpack, as_tensors, batch_of, numbers

Examples = TypeVar("Examples", bound=Sized)

# So many examples are drawn where the caller does not say how many, or all of fewer.
USUAL = 1000
_PAD = "; pad them, or give a DataLoader whose collate_fn pads"


def as_examples(inputs: Any, targets: Any) -> tuple[Any, Tensor]:
    """Inputs and targets as tensors of equal length; one integer target an example becomes (n,) labels."""
    inputs = as_tensors(inputs)
    values = check_plain(numbers(targets, "targets"), "targets")
    if values.is_complex() or values.ndim == 0:
        raise ValueError(
            f"targets must be labels or numbers, one per example, got {values.dtype} of {values.ndim} dimensions"
        )
    if not values.is_floating_point():
        # Several booleans are the answers to several questions, and stay what they are.
        one = values.numel() == len(values)
        values = values.reshape(-1).long() if one else values if values.dtype == torch.bool else values.long()
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


def count(n: object) -> int | None:
    """A number of examples to draw, or None.

    Raises:
        ValueError: something else, such as targets that were given as a second argument.
    """
    if hasattr(n, "__len__") and not isinstance(n, str):
        raise ValueError(
            f"n must be a whole number, got {shown(n)}; inputs and targets are one argument, (inputs, targets)"
        )
    return None if n is None else whole("n", n)


def in_common(examples: Any, n: int, others: Any, m: int) -> int:
    """How many of m other examples are among these n: of equal tensors, byte for byte."""
    known = set(_bytes_of_each(examples, n))
    return sum(one in known for one in _bytes_of_each(others, m))


def _bytes_of_each(examples: Any, n: int) -> list[bytes]:
    """What each example holds in tensors that have an entry for each, as a short digest."""
    parts = [one for one in tensors_of(examples) if one.ndim and len(one) == n]
    rows = [part.detach().cpu().contiguous().reshape(n, -1).view(torch.uint8).numpy() for part in parts]
    return [
        hashlib.blake2b(b"".join(row[i].tobytes() for row in rows), digest_size=16).digest() for i in range(n)
    ]


def drawn(data: Any, n: int | None, seed: int, unpack: Unpack | None = None) -> tuple[Any, Tensor]:
    """n examples of a data set as (inputs, targets). No more than n items are read; None: 1,000, or all of fewer.

    Raises:
        ValueError: fewer examples than n, items with an unclear target or of several shapes.
    """
    if is_pair(data):
        inputs, targets = as_examples(*data)
        labels = None if targets.is_floating_point() or targets.ndim > 1 else targets
        chosen = torch.tensor(_chosen(len(targets), n, seed, labels), dtype=torch.long)
        return map_tensors(inputs, lambda tensor: tensor[chosen.to(tensor.device)]), targets[
            chosen.to(targets.device)
        ]
    source = Source(data)
    labels = None if unpack is not None else source.labels()
    return as_pair(_items(source, n, seed, labels), source, unpack)


def drawn_whole(data: Any, n: int | None, seed: int) -> tuple[Any, int]:
    """n examples of a data set as one batch, as a data loader makes it, and n. Otherwise as `drawn`.

    Raises:
        ValueError: fewer examples than n, items that make no batch.
    """
    if is_pair(data):
        batch, count = as_batch(*data)
        labels = batch[1] if isinstance(batch[1], Tensor) and is_labels(batch[1]) else None
        chosen = torch.tensor(_chosen(count, n, seed, None if labels is None else labels.reshape(-1)))
        return map_tensors(batch, lambda tensor: tensor[chosen.to(tensor.device)]), len(chosen)
    source = Source(data)
    try:
        labels = source.labels()
    except ValueError:  # items of a list that only forward can read
        labels = None
    items = _items(source, n, seed, labels)
    try:
        batch = (source.collate or default_collate)(items)
    except (TypeError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise ValueError(
            f"the items must make one batch, got {type(error).__name__}: {reason}{_PAD}"
        ) from error
    check_batch(batch, len(items))
    return batch, len(items)


def as_pair(items: list[Any], source: Source, unpack: Unpack | None) -> tuple[Any, Tensor]:
    """Items as (inputs, targets)."""
    if source.collate is not None:
        return as_examples(*batch_of(source.collate(items), None, unpack))
    splitter = Items(unpack)
    pairs = [splitter.split(item) for item in items]
    splitter.check()
    return as_examples(
        _stack([pair[0] for pair in pairs], "inputs"), _stack([p[1] for p in pairs], "targets")
    )


def all_examples(data: Any, seed: int, unpack: Unpack | None = None) -> tuple[Any, Tensor]:
    """Every example of a data set as (inputs, targets): all items are read."""
    if is_pair(data):
        return as_examples(*data)
    source = Source(data)
    if source.count is None:
        raise ValueError(f"the data set must have a length and items, got {type(source.items).__name__}")
    return as_pair(source.read(range(source.count), seed), source, unpack)


def as_batch(inputs: Any, targets: Any) -> tuple[tuple[Any, Any], int]:
    """(inputs, targets) as tensors of any structure, and the number of examples."""
    batch = as_tensors(inputs), as_tensors(targets)
    tensors = tensors_of(batch)
    if not tensors or tensors[0].ndim == 0:
        raise ValueError(
            f"inputs must hold at least one tensor with an entry per example, got {shown(inputs)}"
        )
    check_batch(batch, len(tensors[0]))
    return batch, len(tensors[0])


def check_batch(batch: Any, n: int) -> None:
    """Raise ValueError for a batch in which a tensor does not have one entry for each of n examples."""
    if n < 2:
        raise ValueError(f"a probe must have at least 2 examples, got {n}")
    if is_column(batch, n):
        return
    if isinstance(batch, Tensor):
        if batch.is_meta or (batch.ndim and len(batch) != n):
            got = f"shape {tuple(batch.shape)} for {n} examples" + (
                " on the meta device" if batch.is_meta else ""
            )
            raise ValueError(f"a batch must have one entry per example in each tensor, got {got}")
        return
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    for part in parts:
        check_batch(part, n)


def is_pair(data: Any) -> bool:
    """Whether this is (inputs, targets), and no list of items."""
    return isinstance(data, tuple | list) and len(data) == 2 and hasattr(data[1], "__len__")


def _items(source: Source, n: int | None, seed: int, labels: Tensor | None) -> list[Any]:
    """n items: drawn at random, by class if the labels are known; the first n of an iterable."""
    if source.count is None:
        if n is None:
            return _some(source.at_most(USUAL, seed))
        if n < 2:
            raise ValueError(f"n must be at least 2, got {n}")
        return source.first(n, seed)
    return source.read(_chosen(source.count, n, seed, labels), seed)


def _chosen(count: int, n: int | None, seed: int, labels: Tensor | None) -> list[int]:
    """Random indices of n examples of `count`, ascending. With labels (count,), each class gets its rounded share."""
    if n is None:
        n = len(_some(range(min(USUAL, count))))
    if not 2 <= n <= count:
        raise ValueError(f"n must be in 2..{count}, the examples of the data set, got n = {n}")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    if labels is None:
        return sorted(order[:n].tolist())
    # A stable sort by class keeps each class in random order. Evenly spaced picks give every class its share.
    order = order[torch.argsort(labels.cpu()[order], stable=True)]
    picks = (torch.arange(n, dtype=torch.float64) + 0.5) * count / n
    return sorted(order[picks.long()].tolist())


def _some(examples: Examples) -> Examples:
    """The examples, at least two."""
    if len(examples) < 2:
        raise ValueError(f"the data set must have at least 2 examples, got {len(examples)}")
    return examples


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
        got = " and ".join(map(str, sorted(shapes)[:2]))
        raise ValueError(f"{name} must have one shape in all examples, got {got}{_PAD}")
    return torch.stack(examples)


def _check_alike(kinds: list[Any]) -> None:
    other = next((kind for kind in kinds if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(f"inputs must have one structure in all examples, got {kinds[0]} and {other}")
