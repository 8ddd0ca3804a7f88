"""Drawing examples: from every kind of data, and without reading more items than needed."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    random_split,
)

from infopace import Probe
from infopace.probe import reference_of

from ..small_probe import labelled, small_net

X, Y = labelled(600)


class Counting(Dataset):
    """Items that are made when they are asked for, and how many were."""

    def __init__(self, n: int, first: int = 0) -> None:
        self.n, self.first, self.read = n, first, 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        self.read += 1
        return torch.full((4,), float(self.first + row)), (self.first + row) % 10


class Known(Counting):
    """The same with targets that are known without reading."""

    def __init__(self, n: int, first: int = 0) -> None:
        super().__init__(n, first)
        self.targets: Any = [(first + row) % 10 for row in range(n)]


@pytest.mark.parametrize("kind", [Counting, Known])
def test_a_thousand_of_1_2_million_items_are_drawn_by_reading_a_thousand(kind: type[Counting]) -> None:
    parts = [kind(400_000, first) for first in (0, 400_000, 800_000)]
    whole = ConcatDataset(parts)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(1)).tolist()
    began = time.perf_counter()
    probe = Probe.sample(Subset(whole, order), 1000)
    seconds = time.perf_counter() - began
    assert sum(part.read for part in parts) == 1000
    assert seconds < 10  # 0.2 s alone on one core
    assert len(probe.inputs.unique(dim=0)) == 1000
    assert torch.equal(probe.inputs[:, 0].long() % 10, probe.targets)
    shares = torch.bincount(probe.targets).tolist()
    assert shares == [100] * 10 if kind is Known else min(shares) > 60


def nested() -> tuple[Any, Tensor]:
    """A data set inside others, and its labels, read item by item."""
    first, second = TensorDataset(X[:300], Y[:300]), Known(200)
    second.targets = torch.tensor(second.targets)
    some, _ = random_split(first, [100, 200], generator=torch.Generator().manual_seed(0))
    inside: Any = ConcatDataset([Subset(some, range(0, 100, 2)), TensorDataset(torch.randn(200, 6), Y[:200])])
    whole: Any = Subset(inside, [*range(249, 49, -2), *range(50)])
    return whole, torch.tensor([int(whole[i][1]) for i in range(len(whole))])


def test_labels_inside_of_nested_data_sets_give_each_class_its_share() -> None:
    whole, labels = nested()
    wanted = torch.bincount(labels).double() * 30 / len(labels)
    found = torch.bincount(Probe.sample(whole, 30).targets)
    assert bool(((found - wanted).abs() < 1).all())
    # As from the same labels in one tensor.
    items = torch.stack([whole[i][0] for i in range(len(whole))])
    alike = Probe.sample((items, labels), 30)
    assert torch.equal(Probe.sample(whole, 30).inputs, alike.inputs)


def test_where_one_part_has_unknown_labels_nothing_is_read_for_them() -> None:
    known, lazy = Known(300), Counting(300, 300)
    probe = Probe.sample(ConcatDataset([known, lazy]), 60)
    assert known.read == int((probe.inputs[:, 0] < 300).sum())
    assert known.read + lazy.read == probe.n == 60


def test_a_reference_of_known_labels_reads_no_item() -> None:
    data = Known(500)
    assert reference_of(Subset(data, range(100))) == pytest.approx(torch.tensor(10.0).log().item())
    assert data.read == 0
    lazy = Counting(100)
    reference_of(lazy)
    assert lazy.read == 100


def padded(items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    inputs = nn.utils.rnn.pad_sequence([tokens for tokens, _ in items], batch_first=True)
    return inputs, torch.tensor([label for _, label in items])


def test_a_data_loader_is_drawn_from_its_data_set_and_pads_with_its_own_function() -> None:
    data = TensorDataset(X, Y)
    loader = DataLoader(data, batch_size=16, shuffle=True)
    direct = Probe.sample(data, 90, seed=2)
    assert torch.equal(Probe.sample(loader, 90, seed=2).inputs, direct.inputs)
    texts = [(torch.arange(1, 2 + i % 5), i % 2) for i in range(80)]
    probe = Probe.sample(DataLoader(texts, batch_size=4, collate_fn=padded), 80)  # pyright: ignore[reportArgumentType]
    assert probe.inputs.shape == (80, 5)
    assert probe.inputs[2].tolist() == [1, 2, 3, 0, 0]
    with pytest.raises(ValueError, match=r"pad them, or give a DataLoader whose collate_fn pads$"):
        Probe.sample(texts, 80)


def test_a_loader_of_some_places_keeps_to_them() -> None:
    data = Known(200)
    loader = DataLoader(data, batch_size=8, sampler=SubsetRandomSampler(range(100, 160)))
    probe = Probe.sample(loader, 30)
    assert bool(((probe.inputs[:, 0] >= 100) & (probe.inputs[:, 0] < 160)).all())
    assert data.read == 30


class Stream(IterableDataset):
    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        for row in range(10**9):
            self.read += 1
            yield torch.full((3,), float(row)) + 0 * torch.rand(()), row % 4


@pytest.mark.parametrize("through", ["stream", "loader", "iterator", "iterable"])
def test_of_a_stream_the_first_examples_are_read_and_no_more(through: str) -> None:
    stream = Stream()
    data: Any = {
        "stream": stream,
        "loader": DataLoader(stream, batch_size=7),
        "iterator": iter(stream),
        "iterable": type("Iterable", (), {"__iter__": lambda self: iter(stream)})(),
    }[through]
    state = torch.get_rng_state()
    probe = Probe.sample(data, 50)
    assert probe.inputs[:, 0].tolist() == [float(row) for row in range(50)]
    assert probe.targets.tolist() == [row % 4 for row in range(50)]
    assert stream.read == 50
    assert torch.equal(torch.get_rng_state(), state)


class Columns:
    """As a data set of the package `datasets`: columns, chosen by name, with a format that is computed."""

    def __init__(self, columns: dict[str, list[Any]], formatted: bool = True) -> None:
        self.columns, self.formatted, self.items_read = columns, formatted, 0

    @property
    def column_names(self) -> list[str]:
        return list(self.columns)

    def select_columns(self, names: list[str]) -> Columns:
        return Columns({name: self.columns[name] for name in names}, self.formatted)

    def with_format(self, kind: None) -> Columns:
        return Columns(self.columns, formatted=False)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            assert not self.formatted, "a format may need the other columns"
            return self.columns[key]
        self.items_read += 1
        item = {name: column[key] for name, column in self.columns.items()}
        return (
            {"pixels": torch.tensor(item["image"]) / 255, "label": item["label"]} if self.formatted else item
        )


def test_of_a_table_only_the_column_of_labels_and_the_drawn_items_are_read() -> None:
    labels = [0] * 700 + [1] * 290 + [2] * 10
    table = Columns({"image": [[i % 256, 1] for i in range(1000)], "label": labels})
    probe = Probe.sample(table, 100, seed=3)
    assert torch.bincount(probe.targets).tolist() == [70, 29, 1]
    assert table.items_read == 100
    assert probe.inputs.shape == (100, 2)


def test_a_table_of_the_package_itself() -> None:
    import datasets

    table = datasets.Dataset.from_dict({"x": X.tolist(), "label": Y.tolist()})
    seen: list[int] = []

    def transform(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        seen.append(len(batch["x"]))
        return {"x": [torch.tensor(row) for row in batch["x"]], "label": batch["label"]}

    probe = Probe.sample(table.with_transform(transform), 60)
    assert sum(seen) == 60
    assert torch.bincount(probe.targets).tolist() == [20, 20, 20]
    assert torch.equal(probe.inputs, Probe.sample((X, Y), 60).inputs)
    streamed = Probe.sample(
        table.to_iterable_dataset(), 60, unpack=lambda item: (torch.tensor(item["x"]), item["label"])
    )
    assert torch.allclose(streamed.inputs, X[:60])


def test_a_copy_of_a_probe_measures_the_same() -> None:
    model, probe = small_net(), Probe.sample((X, Y), 60)
    found = probe.measure(model).output
    for other in (copy.deepcopy(probe), pickle.loads(pickle.dumps(probe))):
        assert other.measure(model).output == found
