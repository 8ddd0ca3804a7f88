"""Bad input of a probe is refused in one line."""

from __future__ import annotations

from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn

from infopace import Probe
from infopace.probe import Measuring

from ..small_probe import labelled, small_net

measuring: Any = Measuring  # for values that its types do not allow
sample_of: Any = Probe.sample


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda x, y: Probe.sample((x, y), 301),
            "n must be in 2..300, the examples of the data set, got n = 301",
        ),
        (
            lambda x, y: Probe(x, y * 0 + 7),
            "the probe needs at least 2 classes, got only class 7 in 300 examples",
        ),
        (
            lambda x, y: Probe(x[:5], y),
            "inputs and targets must be equally many, at least one, got 5 inputs for 300 targets",
        ),
        (
            lambda x, y: Measuring(reference="mine"),
            "reference must be 'auto', 'entropy', 'ksg' or a number, got 'mine'",
        ),
        (
            lambda x, y: Probe(x, y.float()).measure(small_net(), reference="entropy"),
            "reference 'entropy' needs integer labels, got floating targets",
        ),
        (lambda x, y: Measuring(reference=-1.0), "reference must be a positive number of nats, got -1.0"),
        (lambda x, y: Probe(x, y).measure(small_net(), batch_size=0), "batch_size must be at least 1, got 0"),
        (
            lambda x, y: Probe.sample(iter([]), 10),
            "the data set must have n = 10 examples, got 0 from list_iterator",
        ),
        (
            lambda x, y: Probe(x, y).measure(small_net(), layers=["9"]),
            "unknown layer '9'; The layers are: 0, 1, 2, 3, 4",
        ),
        (
            lambda x, y: Probe(x, y + 1).measure(small_net()),
            "the output does not fit the probe: labels must be in 0..C-1 for scores with C = 3 columns, got label 3",
        ),
        (
            lambda x, y: Probe(x, y).measure(nn.Sequential(nn.Linear(6, 3), nn.Flatten(0))),
            "the output must have one row per example, got shape (768,) for 256 examples",
        ),
        (
            lambda x, y: Probe(x, y).measure(small_net(), k=300),
            "k must be in 1..n-1, got k = 300 with n = 300",
        ),
        (lambda x, y: measuring(k="3"), "k must be a whole number, got '3'"),
        (lambda x, y: measuring(norm="l2"), "norm must be one of 'euclidean', 'chebyshev', got 'l2'"),
        (
            lambda x, y: measuring(layers=[0]),
            "layers must be 'output', 'all' or names of layers, got [0]",
        ),
        (
            lambda x, y: measuring(layers=None),
            "layers must be 'output', 'all' or names of layers, got None",
        ),
        (lambda x, y: measuring(batch_size=2.5), "batch_size must be a whole number, got 2.5"),
        (lambda x, y: measuring(std_error="no"), "std_error must be True or False, got 'no'"),
        (lambda x, y: measuring(strict="no"), "strict must be True or False, got 'no'"),
        (lambda x, y: Probe(x, x / torch.zeros(1)), "targets must be finite, got -inf"),
        (
            lambda x, y: Probe(y[:, None], x[:, 0]).reference(),
            "reference 'ksg' needs floating inputs, got int64; give a number",
        ),
        (
            lambda x, y: sample_of(x[:2, :1].zero_(), y[:2].zero_()),
            "n must be a whole number, got tensor([0, 0]); inputs and targets are one argument, (inputs, targets)",
        ),
        (lambda x, y: sample_of((x, y), "100"), "n must be a whole number, got '100'"),
        (lambda x, y: sample_of((x, y), 0.1 * len(x)), "n must be a whole number, got 30.0"),
        (lambda x, y: sample_of((x, y), 100, seed=None), "seed must be a whole number, got None"),
        (lambda x, y: Probe.sample((x, y), 100, seed=-1), "seed must be in 0..2^63-1, got -1"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, make: object, message: str
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of it first
    with pytest.raises(ValueError) as error:
        make(*labelled())  # pyright: ignore[reportCallIssue]
    assert str(error.value) == message


def test_an_unknown_option_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    probe = Probe(*labelled())
    with pytest.raises(TypeError) as error:
        probe.measure(small_net(), layer="all")
    assert str(error.value) == (
        "the options of a measurement are layers, signal, hidden, k, norm, reference, decoder, std_error, sharpen, "
        "batch_size, strict, got layer"
    )
    with pytest.raises(TypeError, match=r"^measuring must be Measuring\(\.\.\.\), got 'all'$"):
        probe.measure(small_net(), "all")  # pyright: ignore[reportArgumentType]


def test_a_reference_that_is_not_positive_is_refused() -> None:
    generator = torch.Generator().manual_seed(6)
    probe = Probe(torch.randn(200, 2, generator=generator), torch.randn(200, 2, generator=generator))
    with pytest.raises(
        ValueError, match=r"^reference 'ksg' must be a positive number of nats, got -.*; give a number$"
    ):
        probe.reference()
    assert probe.measure(nn.Linear(2, 2)).reference is None
