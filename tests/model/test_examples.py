"""Where the examples are in a layer's output, and layers that have none there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from infopace import Probe
from infopace.estimators import mutual_information
from infopace.probe import Measurement

N, WIDTH = 48, 6


class Positions(nn.Module):
    """What is added is a table for each place, which no example has a part in."""

    def __init__(self, shape: str, length: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.positions = nn.Embedding(9, WIDTH), nn.Embedding(length, WIDTH)
        self.shape, self.head = shape, nn.Linear(WIDTH, 3)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1])
        if self.shape == "(1, T)":
            places = places[None]
        if self.shape == "(n, T)":
            places = places.expand(len(ids), -1)
        return self.head((self.words(ids) + self.positions(places)).mean(1))


class TimeFirst(nn.Module):
    """A recurrent layer as torch has it by default: the output is (T, n, d)."""

    def __init__(self, packed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.lstm, self.head = nn.Embedding(9, WIDTH), nn.LSTM(WIDTH, 5), nn.Linear(5, 3)
        self.packed = packed

    def forward(self, ids: Tensor) -> Tensor:
        values = self.words(ids.T)
        if self.packed:
            lengths = 1 + ids[:, 0] % ids.shape[1]
            values = pack_padded_sequence(values, lengths, enforce_sorted=False)
        return self.head(self.lstm(values)[1][0][-1])


class Windows(nn.Module):
    """The layer sees the parts of an example as examples, listed by example or by part."""

    def __init__(self, by_example: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.layer, self.head = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 5), nn.Linear(5, 3)
        self.by_example = by_example

    def forward(self, ids: Tensor) -> Tensor:
        values = self.words(ids if self.by_example else ids.T)
        mixed = self.layer(values.reshape(-1, WIDTH)).reshape(*values.shape[:2], 5)
        return self.head(mixed.mean(1 if self.by_example else 0))


def examples(length: int = 4) -> tuple[Tensor, Tensor]:
    labels = torch.arange(N) % 3
    ids = torch.randint(0, 9, (N, length), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = labels + 3 * (ids[:, 0] % 3)
    return ids, labels


def measured(model: nn.Module, length: int = 4, batch_size: int | None = None) -> Measurement:
    probe = Probe(*examples(length))
    return probe.measure(model, layers="all", signal="neighbours", std_error=False, batch_size=batch_size)


BATCHES = pytest.mark.parametrize("batch_size", [None, 20, 2])


@BATCHES
@pytest.mark.parametrize("length", [4, N])
@pytest.mark.parametrize("shape", ["(T)", "(1, T)"])
def test_a_table_of_positions_is_left_out_even_if_it_is_as_long_as_there_are_examples(
    shape: str, length: int, batch_size: int | None
) -> None:
    found = measured(Positions(shape, length), length, batch_size)
    assert list(found.layers) == ["words", "head", "output"]
    got = (length, WIDTH) if shape == "(T)" else (1, length, WIDTH)
    assert found.left_out == {
        "positions": "was not measured: the output of layer 'positions' must have one row per example, "
        f"got shape {got} for {batch_size or N} examples"
    }
    assert f"positions: {found.left_out['positions']}" in found.warnings


def test_a_layer_that_is_named_must_have_examples_but_where_strict_is_false() -> None:
    model, probe = Positions("(1, T)"), Probe(*examples())
    with pytest.raises(ValueError) as error:
        probe.measure(model, layers=["positions"])
    assert str(error.value) == (
        "the output of layer 'positions' must have one row per example, got shape (1, 4, 6) for 48 examples"
    )
    with pytest.raises(ValueError, match="must have one row per example"):
        probe.measure(model, layers="all", strict=True)
    found = probe.measure(model, layers=["words", "positions"], strict=False)
    assert list(found.layers) == ["words", "output"] and list(found.left_out) == ["positions"]


@BATCHES
def test_a_layer_that_gets_the_same_for_every_example_is_left_out_unless_it_is_named(
    batch_size: int | None,
) -> None:
    model = Positions("(n, T)")
    found = measured(model, batch_size=batch_size)
    assert found.left_out == {"positions": "gets the same input for every example and was not measured"}
    named = Probe(*examples()).measure(model, layers=["positions"], batch_size=batch_size)
    assert named["positions"].estimate.nats == pytest.approx(
        0.0, abs=0.06
    )  # the estimate's own bias with 48 examples


@BATCHES
def test_a_layer_of_zeros_has_no_information_and_is_measured(batch_size: int | None) -> None:
    model = Positions("(1, T)")
    nn.init.zeros_(model.head.weight)
    found = measured(model, batch_size=batch_size)
    assert found["head"].estimate.nats == pytest.approx(
        0.0, abs=0.06
    )  # the estimate's own bias with 48 examples


@BATCHES
@pytest.mark.parametrize("length", [4, N])
def test_the_examples_may_be_the_second_dimension(length: int, batch_size: int | None) -> None:
    model, (ids, labels) = TimeFirst(), examples(length)
    found = measured(model, length, batch_size)
    states = model.lstm(model.words(ids.T))[0].detach().transpose(0, 1)
    expected = mutual_information(states.flatten(1), labels, estimator="ross").nats
    assert found["lstm"].estimate.nats == pytest.approx(expected, abs=1e-6)
    assert found["lstm"].width == 5 * length and found.left_out == {}


def test_sequences_of_different_lengths_are_padded() -> None:
    model = TimeFirst(packed=True)
    found = measured(model)
    assert found["lstm"].width == 5 * 4 and found.left_out == {}
    # Within batches of two the longest may be shorter.
    assert list(measured(model, batch_size=2).left_out) == ["lstm"]
    with pytest.raises(ValueError, match=r"^the output of layer 'lstm' must have one shape for all examples"):
        Probe(*examples()).measure(model, layers="lstm", batch_size=2)


@BATCHES
def test_parts_of_an_example_that_stand_together_are_one_example(batch_size: int | None) -> None:
    model, (ids, labels) = Windows(by_example=True), examples()
    found = measured(model, batch_size=batch_size)
    expected = mutual_information(model.layer(model.words(ids)).detach().flatten(1), labels, estimator="ross")
    assert found["layer"].estimate.nats == pytest.approx(expected.nats, abs=1e-6)
    assert list(measured(Windows(by_example=False), batch_size=batch_size).left_out) == ["layer"]


class Experts(nn.Module):
    """Each example runs through one of several layers, and none through the last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(9, WIDTH)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, 3) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        values, chosen = self.words(ids).mean(1), ids[:, 0] % 2
        out = values.new_zeros(len(ids), 3)
        for number in chosen.unique().tolist():
            out[chosen == number] = self.experts[number](values[chosen == number])
        return out


@BATCHES
def test_a_layer_that_few_examples_or_none_run_through_is_left_out(batch_size: int | None) -> None:
    found = measured(Experts(), batch_size=batch_size)
    assert list(found.layers) == ["words", "output"]
    assert list(found.left_out) == ["experts.0", "experts.1", "experts.2"]
    assert found.left_out["experts.2"] == "did not run in the forward pass and was not measured"


class OneSize(nn.Module):
    """It takes as many examples as it was built for, no fewer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.layer(ids.float().reshape(N, 4))


def test_a_model_of_one_batch_size_is_measured_as_it_is() -> None:
    found = measured(OneSize())
    assert found["layer"].estimate.nats == found.output.estimate.nats and found.left_out == {}
