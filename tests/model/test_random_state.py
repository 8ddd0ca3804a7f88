"""Random generators are found wherever a data set may keep them, and their states are restored."""

from __future__ import annotations

import contextlib
import functools
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from infopace.model.random_state import generators_kept, generators_of, seed_generators

RNG = np.random.default_rng(0)


class Holder(Dataset):
    def __init__(self, held: Any = None) -> None:
        self.held = held

    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> int:
        return row


class OfTheClass(Holder):
    rng = RNG


class OfTheModule(Holder):
    def __getitem__(self, row: int) -> int:
        return int(RNG.integers(4))


class Slots:
    __slots__ = ("rng",)

    def __init__(self) -> None:
        self.rng = RNG


class Listed(list[int]):
    """A list that may not be iterated, with an attribute."""

    def __init__(self) -> None:
        super().__init__([1, 2])
        self.rng = RNG

    def __iter__(self) -> Any:
        raise AssertionError("it may draw numbers")


class Gone:
    """The object of a weak proxy, soon gone."""


def closure() -> Callable[[Any], Any]:
    rng = RNG
    return lambda batch: (rng.normal(), batch)


PLACES: dict[str, Callable[[], Any]] = {
    "an attribute": lambda: Holder(RNG),
    "containers": lambda: Holder({"a": [(0, {"b": RNG})]}),
    "a subset of a concatenation": lambda: Subset(ConcatDataset([Holder(), Holder(RNG)]), [1, 5]),
    "a loader's data set": lambda: DataLoader(Holder(RNG)),
    "what a collate function closes over": lambda: DataLoader(Holder(), collate_fn=closure()),
    "a partial's arguments": lambda: functools.partial(max, RNG),
    "a bound method": lambda: RNG.normal,
    "a class": OfTheClass,
    "the module's variable that a method names": OfTheModule,
    "slots": Slots,
    "an attribute of a list": Listed,
    "beside a proxy of what is gone": lambda: [weakref.proxy(Gone()), RNG],
    "a default": lambda: lambda row, rng=RNG: (row, rng),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found(place: str) -> None:
    assert [found is RNG for found in generators_of(PLACES[place]())] == [True]


def test_the_search_covers_the_first_items_of_a_list_and_leaves_out_the_systems_generator() -> None:
    assert generators_of([0] * 1_000_000 + [RNG], random.SystemRandom(), np, torch.zeros(3)) == []


def numbers(generator: Any) -> list[float]:
    if isinstance(generator, torch.Generator):
        return torch.rand(3, generator=generator).tolist()
    return [generator.random() for _ in range(3)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.random.Generator(np.random.MT19937(1)),
        lambda: np.random.default_rng(1),
        lambda: np.random.RandomState(1),
        lambda: random.Random(1),
        torch.Generator,
    ],
)
def test_it_is_restored_and_starts_from_the_seed(make: Callable[[], Any]) -> None:
    one, reference = make(), make()
    numbers(one)
    numbers(reference)
    with generators_kept([one]):
        seed_generators([one], 3, 0)
        first = numbers(one)
        seed_generators([one], 3, 0)
        assert numbers(one) == first
        seed_generators([one], 4, 0)
        assert numbers(one) != first
        with contextlib.suppress(KeyError), generators_kept([one]):
            numbers(one)
            raise KeyError
    assert numbers(one) == numbers(reference)


def test_two_of_a_kind_do_not_draw_the_same() -> None:
    pair = [np.random.default_rng(1), np.random.default_rng(1)]
    seed_generators(pair, 5)
    assert numbers(pair[0]) != numbers(pair[1])
