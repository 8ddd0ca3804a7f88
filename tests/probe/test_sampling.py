"""Examples of any data set, as tensors, with no trace in the random states; or one line that says what is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from infopace import Probe

from ..small_probe import labelled


class Items(Dataset):
    """A map-style data set without any attribute, with a random transform."""

    def __init__(self, rows: int = 60) -> None:
        self.inputs, self.labels = labelled(rows)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.inputs[row] + torch.rand(()), int(self.labels[row])


@pytest.mark.parametrize("kind", ["pair", "tensors", "targets attribute", "items"])
def test_the_sample_is_stratified_and_repeatable(kind: str) -> None:
    inputs, _ = labelled(1000)
    labels = torch.tensor([0] * 700 + [1] * 290 + [2] * 10)
    dataset: object = (inputs, labels)
    if kind == "tensors":
        dataset = TensorDataset(inputs, labels)
    elif kind != "pair":
        dataset = [(row, label) for row, label in zip(inputs, labels, strict=True)]
        if kind == "targets attribute":

            class Listed(list):
                targets = labels

            dataset = Listed(dataset)
    state = torch.get_rng_state()
    probe = Probe.sample(dataset, 100, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.bincount(probe.targets).tolist() == [70, 29, 1]
    again, other = Probe.sample(dataset, 100, seed=3), Probe.sample(dataset, 100, seed=4)
    assert torch.equal(probe.inputs, again.inputs) and torch.equal(probe.targets, again.targets)
    assert not torch.equal(probe.inputs, other.inputs)
    assert len(torch.unique(probe.inputs, dim=0)) == 100


def test_random_transforms_are_applied_once() -> None:
    first, second = Probe.sample(Items(), 30, seed=5), Probe.sample(Items(), 30, seed=5)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.targets, second.targets)


class Noisy(Dataset):
    """Items that are made when they are asked for, with random numbers of some kind."""

    def __init__(self, noise: Callable[[], Any]) -> None:
        self.noise = noise

    def __len__(self) -> int:
        return 100

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.ones(3) * self.noise(), row % 2


@pytest.mark.parametrize(
    "noise", [lambda: torch.randn(()), np.random.rand, random.random], ids=["torch", "numpy", "random"]
)
def test_equal_seeds_draw_equal_examples_and_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch, noise: Callable[[], Any]
) -> None:
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # the type checker draws from Python's generator

    def states() -> tuple[str, ...]:
        return str(torch.get_rng_state().tolist()), str(np.random.get_state()), str(random.getstate())

    before = states()
    one, same, other = (Probe.sample(Noisy(noise), 50, seed=seed) for seed in (3, 3, 4))
    assert states() == before
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


class Own(Dataset):
    """Items with the noise of a generator of its own, deep inside."""

    def __init__(self, generator: Any, noise: Callable[[], float]) -> None:
        self.transforms, self.noise = [{"generator": generator}], noise

    def __len__(self) -> int:
        return 100

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.ones(3) * self.noise(), row % 2


def owners() -> dict[str, tuple[Dataset, Callable[[], Any]]]:
    """Data sets by the kind of their generator, each with what shows its state."""
    new, old, plain, torchs = (
        np.random.default_rng(0),
        np.random.RandomState(0),
        random.Random(0),
        torch.Generator(),
    )
    return {
        "numpy Generator": (Own(new, new.normal), lambda: new.bit_generator.state),
        "numpy RandomState": (Own(old, old.normal), lambda: str(old.get_state())),
        "random.Random": (Own(plain, plain.random), plain.getstate),
        "torch": (
            Own(torchs, lambda: float(torch.rand((), generator=torchs))),
            lambda: torchs.get_state().tolist(),
        ),
    }


@pytest.mark.parametrize("kind", list(owners()))
def test_generators_of_the_data_set_are_left_as_found_and_begin_at_the_seed(kind: str) -> None:
    dataset, state = owners()[kind]
    before = state()
    one, same, other = (Probe.sample(dataset, 50, seed=seed) for seed in (3, 3, 4))
    assert state() == before
    assert torch.equal(one.inputs, same.inputs) and not torch.equal(one.inputs, other.inputs)


def test_a_dict_is_one_input_or_keywords() -> None:
    one = Probe.sample([{"img": row, "label": int(label)} for row, label in zip(X, Y, strict=True)], 40)
    assert torch.equal(one.inputs, X) and torch.equal(one.targets, Y)
    items = [{"a": row, "labels": int(label), "b": 2 * row} for row, label in zip(X, Y, strict=True)]
    several = Probe.sample(items, 40)
    assert list(several.inputs) == ["a", "b"] and torch.equal(several.inputs["b"], 2 * X)


def test_what_identifies_the_example_comes_after_the_target() -> None:
    items = [(row, label, 7 * i, f"{i}.png") for i, (row, label) in enumerate(zip(X, Y, strict=True))]
    probe = Probe.sample(items, 40)
    assert torch.equal(probe.inputs, X) and torch.equal(probe.targets, Y)


def test_any_item_can_be_unpacked() -> None:
    items = [(row, row, label) for row, label in zip(X, Y, strict=True)]
    probe = Probe.sample(items, 40, unpack=lambda item: (item[:2], item[2]))
    assert isinstance(probe.inputs, tuple) and torch.equal(probe.targets, Y)


def test_inputs_in_parts_are_arguments() -> None:
    x, y = torch.randn(40, 3), torch.arange(40) % 2
    items = [([row, row * 2], int(label)) for row, label in zip(x, y, strict=True)]
    probe = Probe.sample(items, 40)
    assert isinstance(probe.inputs, tuple)
    assert torch.equal(probe.inputs[0] * 2, probe.inputs[1])


def test_arrays_of_numpy_in_any_layout() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    values.setflags(write=False)
    labels = np.arange(40)[::-1] % 2
    probe = Probe(values[:, ::-1], labels)
    assert torch.equal(probe.inputs, torch.tensor(values[:, ::-1].copy()))
    assert probe.targets.tolist() == labels.tolist()


class Stream(IterableDataset):
    """It has a length, and gives no items."""

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter([])

    def __len__(self) -> int:
        return 40


X, Y = torch.randn(40, 3), torch.arange(40) % 2
HOW = "give unpack=f, with f(item) -> (inputs, targets)"
PARTS = ", or a tuple (arguments) or dict (keywords) of such"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Probe.sample(TensorDataset(X, X, Y), 20),
            f"an item of the data set must be a pair (inputs, targets), got tuple of 3; {HOW}",
        ),
        (
            lambda: Probe.sample(list(zip(X, Y, Y * 0.5, strict=True)), 20),
            f"an item of the data set must be a pair (inputs, targets), got tuple of 3; {HOW}",
        ),
        (
            lambda: Probe.sample([{"image": X[0], "fine": 1}] * 40, 20),
            "a dict must hold targets as one of labels, label, targets, target, y, and inputs, got 'image', 'fine'; "
            "give unpack=f, with f(dict) -> (inputs, targets)",
        ),
        (
            lambda: Probe.sample([{"image": X[0], "path": "a.png", "label": 1}] * 40, 20),
            f"inputs must be numbers, got text as 'path'; {HOW}",
        ),
        (
            lambda: Probe.sample([{"image": X[0]}] * 40, 20, unpack=lambda item: item["image"]),
            "unpack(item) must return (inputs, targets), got Tensor",
        ),
        (
            lambda: Probe.sample(list(X), 20),
            f"an item of the data set must be a pair (inputs, targets), got Tensor; {HOW}",
        ),
        (
            lambda: Probe.sample([(X[0], "cat"), (X[1], "dog"), (X[2], "dog")], 3),
            "targets must be numbers in one array, got str",
        ),
        (
            lambda: Probe.sample([(X[0], 0), (X[1, :2], 1), (X[2], 1)], 3),
            "inputs must have one shape in all examples, got (2,) and (3,); "
            "pad them, or give a DataLoader whose collate_fn pads",
        ),
        (
            lambda: Probe.sample(Stream(), 20),
            "the data set must have n = 20 examples, got 0 from Stream",
        ),
        (lambda: Probe(X, ["a"] * 40), "targets must be numbers in one array, got list of str"),
        (
            lambda: Probe(X, np.array(["a"] * 40)),
            "targets must be numbers in one array, got text or other labels without a number; number them",
        ),
        (lambda: Probe(X, None), "targets must be numbers in one array, got NoneType"),
        (lambda: Probe([X, X], Y), f"inputs must be numbers in one array{PARTS}, got list of Tensor"),
        (
            lambda: Probe({"x": X, "mask": None}, Y),
            f"inputs must be numbers in one array{PARTS}, got NoneType",
        ),
        (
            lambda: Probe({"x": X, "flag": True}, Y),
            "inputs must have one entry per example, got a single number among them",
        ),
    ],
)
def test_bad_examples_are_refused_in_one_line(make: Callable[[], Probe], message: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize("count", [3, 30, 1000, 1200])
@pytest.mark.parametrize("kind", ["pair", "items", "stream", "forward"])
def test_without_a_number_it_draws_a_thousand_or_all_of_fewer(count: int, kind: str) -> None:
    inputs, labels = torch.randn(count, 3), torch.arange(count) % 2
    items = list(zip(inputs, labels, strict=True))
    if kind == "forward":
        found = Probe.sample(items, forward=lambda model, batch: (model(batch[0]), batch[1]))
    else:
        found = Probe.sample({"pair": (inputs, labels), "items": items, "stream": iter(items)}[kind])
    assert found.n == min(count, 1000)


@pytest.mark.parametrize("data", [[], iter([]), [(torch.zeros(3), 0)], iter([(torch.zeros(3), 0)])])
def test_too_few_to_draw_from(data: Any) -> None:
    with pytest.raises(ValueError, match=r"the data set must have at least 2 examples, got [01]$"):
        Probe.sample(data)
