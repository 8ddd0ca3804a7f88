"""Where examples come from: data sets, data loaders, streams; and the labels that are known without reading."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    default_collate,
    default_convert,
)

from infopace._checks import shown
from infopace.estimators._inputs import is_labels
from infopace.model.random_state import generators_kept, generators_of, random_state_kept, seed_generators
from infopace.probe.batches import TARGETS, Items, numbers

Collate = Callable[[list[Any]], Any]


@runtime_checkable
class Table(Protocol):
    """A data set with named columns that can be read one by one, as those of the package `datasets`."""

    @property
    def column_names(self) -> Any: ...

    def select_columns(self, names: list[str], /) -> Any: ...

    def with_format(self, kind: None, /) -> Any: ...


class Source:
    """The items of a data set, a data loader or a stream.

    Attributes:
        items: A map-style data set, or an iterable.
        count: Number of items; None for an iterable, which is read from its beginning.
        collate: What a data loader makes batches with, if that is a function of its own.

    Raises:
        ValueError: what has neither items nor an iterator.
    """

    def __init__(self, data: Any) -> None:
        self.collate: Collate | None = None
        self.items: Any = data
        if isinstance(data, DataLoader):
            self.items = data.dataset
            if data.collate_fn not in (default_collate, default_convert):
                self.collate = data.collate_fn
            # A loader that draws from some places only keeps the others for another purpose.
            if isinstance(data.sampler, SubsetRandomSampler):
                self.items = Subset(data.dataset, list(data.sampler.indices))
        kind = type(self.items).__name__
        if isinstance(self.items, Mapping):
            raise ValueError(
                f"the data set must be one data set, got {kind} of {shown(list(self.items))}; take one"
            )
        indexed = hasattr(self.items, "__len__") and hasattr(self.items, "__getitem__")
        if isinstance(self.items, type | str | bytes) or not (indexed or hasattr(self.items, "__iter__")):
            raise ValueError(
                f"the data set must have items, or give them one after the other, or be (inputs, targets), got {kind}"
            )
        streamed = isinstance(self.items, IterableDataset) or not indexed
        sized: Any = self.items
        self.count = None if streamed else len(sized)

    def read(self, index: Iterable[int], seed: int) -> list[Any]:
        """Items by their numbers, and no other. Random numbers start from the seed, and their states are restored."""
        return self._read(lambda: (self.items[i] for i in index), seed)

    def first(self, n: int, seed: int) -> list[Any]:
        """The first n items of an iterable.

        Raises:
            ValueError: there are fewer.
        """
        found = self.at_most(n, seed)
        if len(found) < n:
            kind = type(self.items).__name__
            raise ValueError(f"the data set must have n = {n} examples, got {len(found)} from {kind}")
        return found

    def at_most(self, n: int, seed: int) -> list[Any]:
        """The first n items of an iterable, or all of fewer."""
        return self._read(lambda: itertools.islice(iter(self.items), n), seed)

    def labels(self) -> Tensor | None:
        """(count,) labels, if they are known without reading an item."""
        return None if self.count is None else known_labels(self.items)

    def _read(self, items: Callable[[], Iterator[Any]], seed: int) -> list[Any]:
        own = generators_of(self.items)
        with random_state_kept(seed=seed), generators_kept(own):
            seed_generators(own, seed)
            return list(items())


def known_labels(dataset: Any) -> Tensor | None:
    """(n,) integer labels of a data set, if they are known without reading an item; None: they are not.

    They are the second of two `tensors`, `targets`, the items of a list, or one column of a table with a usual name.
    A subset's are some of those of the data set inside; those of data sets one after the other follow each other.

    Raises:
        ValueError: items of a list with an unclear target.
    """
    if isinstance(dataset, Subset):
        inside = known_labels(dataset.dataset)
        return None if inside is None else inside[torch.tensor(np.asarray(dataset.indices, dtype=np.int64))]
    if isinstance(dataset, ConcatDataset):
        parts = [known_labels(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return torch.cat(known) if known and len(known) == len(parts) else None
    tensors, named = getattr(dataset, "tensors", None), getattr(dataset, "targets", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return _labels(tensors[1], len(dataset))
    if named is not None:
        return _labels(named, len(dataset))
    if isinstance(dataset, list | tuple) and dataset:
        items = Items()
        found = [items.split(item)[1] for item in dataset]
        items.check()
        return _labels(found, len(dataset))
    return _column(dataset) if isinstance(dataset, Table) else None


def _column(table: Any) -> Tensor | None:
    names = [name for name in TARGETS if name in table.column_names]
    if len(names) != 1 or len(table) == 0:
        return None
    # Without the format, which may be a transform of the other columns too.
    column = table.select_columns(names).with_format(None)
    first = column[0][names[0]]
    if not isinstance(first, int):
        return None
    return _labels(list(column[names[0]]), len(table))


def _labels(values: Any, count: int) -> Tensor | None:
    """Values as labels (count,); None if they are none, or not one an item."""
    try:
        tensor = numbers(values, "targets")
    except ValueError:
        return None
    return tensor.reshape(-1).long().cpu() if is_labels(tensor) and len(tensor) == count else None
