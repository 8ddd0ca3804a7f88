"""The probe: fixed examples, every layer in one pass, the model left as found."""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infopace import Probe, mutual_information
from infopace.estimators import entropy, ridge_information, usable_information
from infopace.model.forward import as_found
from infopace.probe import Measuring

from ..small_probe import labelled, small_net


def test_measures_each_layer_as_a_direct_call_does() -> None:
    model, (inputs, labels) = small_net(), labelled()
    measurement = Probe(inputs, labels).measure(model, layers="all", signal="neighbours")
    model.eval()
    hidden = model[0](inputs)
    assert list(measurement.layers) == ["0", "4", "output"]
    assert measurement["0"].estimate == mutual_information(hidden.detach(), labels, estimator="ross")
    outputs = mutual_information(model(inputs).detach(), labels, estimator="ross")
    assert measurement.output.neighbours == outputs
    assert measurement.output.estimate == dataclasses.replace(outputs, choice="neighbours, as asked for")
    usable = usable_information(model(inputs).detach(), labels)
    assert measurement.output.usable == usable
    default = Probe(inputs, labels).measure(model, layers="all")
    choice = "usable information: the default for one label an example"
    assert default.output.estimate == dataclasses.replace(usable, choice=choice)
    assert default.output.decoder == measurement.output.decoder
    read = ridge_information(hidden.detach(), labels)
    assert default["0"].estimate == default["0"].usable == read and default["0"].neighbours is None
    as_in_papers = Probe(inputs, labels).measure(model, layers="all", hidden="neighbours")
    assert as_in_papers["0"] == measurement["0"] and as_in_papers.output == default.output
    mixed = Probe(inputs, labels).measure(model, layers="all", signal="neighbours", hidden="usable")
    assert mixed["0"] == default["0"] and mixed.output == measurement.output
    assert measurement["0"].width == 16
    assert measurement["0"].decoder is None
    loss = nn.functional.cross_entropy(model(inputs), labels).item()
    assert measurement.output.decoder is not None
    assert measurement.output.decoder.nats == pytest.approx(entropy(labels) - loss, abs=1e-6)
    assert measurement.reference == pytest.approx(np.log(3))


def test_batches_give_the_same_numbers() -> None:
    model, (inputs, labels) = small_net(), labelled()
    whole = Probe(inputs, labels).measure(model, layers="all")
    parts = Probe(inputs, labels).measure(model, layers="all", batch_size=64)
    assert list(parts.layers) == list(whole.layers)
    for name, layer in whole.layers.items():
        # Batches may round the model's own sums differently; the layers see nearly the same numbers.
        assert parts[name].estimate.nats == pytest.approx(layer.estimate.nats, abs=0.02)
        assert parts[name].width == layer.width


class Restless(nn.Module):
    """Changes what it can reach: a buffer in place, a buffer by assignment, three random states."""

    count: Tensor
    cache: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = small_net()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("cache", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.cache = torch.randn(5)
        random.random()
        np.random.rand()
        return self.body(x)


def test_leaves_the_model_as_found() -> None:
    model = Restless()
    model.body[3].eval()  # one module in another mode than the rest
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    identities = {name: id(buffer) for name, buffer in model.named_buffers()}
    states = str(np.random.get_state()), torch.get_rng_state()
    Probe(*labelled()).measure(model, layers="all")
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {name: id(buffer) for name, buffer in model.named_buffers()} == identities
    assert str(np.random.get_state()) == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_leaves_python_s_random_state_as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The type checker of the tests draws from Python's generator itself.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model, (inputs, _) = Restless(), labelled()
    state = random.getstate()
    with as_found(model):
        model(inputs)
    assert random.getstate() == state


class Filling(nn.Module):
    """Buffers of every kind: made in the first pass, replaced in each, expanded."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)
        self.register_buffer("mean", None)
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("mask", torch.ones(1).expand(6))

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is None:
            self.mean = x.mean(0).detach()
        self.passes = self.passes + 1
        return self.last(torch.mul(x - self.mean, self.get_buffer("mask")))


def test_leaves_buffers_of_every_kind_as_found() -> None:
    model, probe = Filling(), Probe(*labelled())
    before, passes = copy.deepcopy(model.state_dict()), model.passes
    probe.measure(model)
    assert model.mean is None and model.passes is passes
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("layers", ["output", "all"])
def test_the_examples_stay_when_the_model_or_the_caller_changes_theirs(
    batch_size: int | None, layers: str
) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x -= 1.0
            return self.last(x)

    model, (inputs, labels) = InPlace(), labelled()
    given, known = inputs.clone(), labels.clone()
    probe, options = Probe(inputs, labels), Measuring(batch_size=batch_size, layers=layers)
    first = probe.measure(model, options).output.estimate.nats
    assert torch.equal(inputs, given) and torch.equal(probe.inputs, given)
    inputs.zero_()
    labels.zero_()
    assert probe.measure(model, options).output.estimate.nats == first
    assert torch.equal(probe.targets, known)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_the_output_is_the_model_s_also_where_a_layer_has_that_name(batch_size: int | None) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.output(x)))

    torch.manual_seed(0)
    model, data = Named(), labelled()
    alone = Probe(*data).measure(model).output
    beside = Probe(*data).measure(model, layers="all", batch_size=batch_size)
    assert list(beside.layers) == ["head", "output"]
    assert beside.output == alone


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_layers_of_an_encoder_with_a_padding_mask() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 8, padding_idx=0)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

        def forward(self, ids: Tensor) -> Tensor:
            hidden = self.encoder(self.embedding(ids), src_key_padding_mask=ids == 0)
            return self.head(hidden[:, 0])

    torch.manual_seed(0)
    ids = torch.randint(1, 10, (200, 6))
    ids[torch.arange(6)[None] >= torch.randint(1, 7, (200,))[:, None]] = 0
    model, labels = Encoder(), ids[:, 0] % 3
    measured = Probe(ids, labels).measure(model, layers="all")
    assert "encoder.layers.1.linear1" in measured.layers
    assert not any("did not run" in text for text in measured.warnings)
    assert torch.backends.mha.get_fastpath_enabled()
    alone = Probe(ids, labels).measure(model).output
    assert measured.output.estimate.nats == pytest.approx(alone.estimate.nats, abs=1e-3)


def test_scores_with_more_than_classes_have_no_decoder_bound() -> None:
    class Grid(nn.Module):
        def __init__(self, *shape: int) -> None:
            super().__init__()
            self.last, self.shape = nn.Linear(6, math.prod(shape)), shape

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x).reshape(-1, *self.shape)

    probe = Probe(*labelled())
    assert probe.measure(Grid(3, 2, 2)).output.decoder is None
    assert probe.measure(Grid(3, 1, 1)).output.decoder is not None


def test_what_is_no_model_or_has_no_weights_is_refused_and_the_examples_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse the first
    probe = Probe(*labelled())
    with pytest.raises(TypeError, match=r"^model must be a torch Module, got function$"):
        probe.measure(lambda x: x)  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ValueError, match=r"^the model must have weights to be measured, got them on the meta"
    ):
        probe.measure(nn.Linear(6, 3, device="meta"))
    assert probe.inputs.device.type == "cpu"
    probe.measure(small_net())


def test_leaves_the_model_as_found_after_an_error() -> None:
    model, (inputs, labels) = small_net(), labelled()
    with torch.no_grad():
        next(iter(model[4].parameters()))[0, 0] = torch.nan
    with pytest.raises(
        ValueError,
        match=r"^layer '4' does not fit the probe: x must be finite, got nan in 300 of 300 examples, "
        r"first at example 0, column 0$",
    ):
        Probe(inputs, labels).measure(model, layers="all")
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_measuring_twice_gives_the_same() -> None:
    model, probe = small_net(), Probe(*labelled())
    first, second = (probe.measure(model, layers="all") for _ in range(2))
    assert {n: v.estimate for n, v in first.layers.items()} == {
        n: v.estimate for n, v in second.layers.items()
    }


class Compiled(nn.Module):
    """Stands in for a module compiled in place: calls go to the compiled function, which runs no hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


def test_compiled_and_wrapped_models_are_measured_inside() -> None:
    model, probe, every = Compiled(), Probe(*labelled()), Measuring(layers="all")
    plain = probe.measure(model, every)
    wrapped = nn.DataParallel(torch.compile(model, backend="eager"))  # pyright: ignore[reportArgumentType]
    assert {n: v.estimate for n, v in probe.measure(wrapped, every).layers.items()} == {
        n: v.estimate for n, v in plain.layers.items()
    }
    model.compile(backend="eager")
    compiled = model._compiled_call_impl
    model(probe.inputs)
    assert probe.measure(model, every)["first"].estimate == plain["first"].estimate
    assert model._compiled_call_impl is compiled


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor, scale: Tensor) -> dict[str, Tensor]:
        hidden = self.recurrent(x[:, None])[0][:, -1]
        return {"loss": hidden.sum(), "logits": self.head(self.head.weight[0] * 0 + hidden * scale)}


def test_inputs_and_outputs_with_structure() -> None:
    inputs, labels = labelled()
    model, scale = Pair(), torch.ones(300, 1)
    how = Measuring(layers="all", signal="neighbours")
    by_name = Probe({"x": inputs, "scale": scale}, labels).measure(model, how)
    by_place = Probe((inputs, scale), labels).measure(model, how)
    assert list(by_name.layers) == ["recurrent", "head", "output"]
    assert by_name.output.neighbours == by_place.output.neighbours == by_name["head"].estimate
    assert by_name["recurrent"].width == 5


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.unused = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu_(self.layer(x)))[:, :3]


def test_a_layer_that_runs_twice_counts_with_its_last_run_and_an_unused_one_is_named() -> None:
    model, (inputs, labels) = Twice(), labelled()
    for batch_size in (None, 100):
        how = Measuring(layers="all", batch_size=batch_size, signal="neighbours")
        measurement = Probe(inputs, labels).measure(model, how)
        last = model.layer(torch.relu(model.layer(inputs))).detach()
        expected = mutual_information(last, labels).nats
        assert measurement["layer"].estimate.nats == pytest.approx(expected, abs=0.02)
        assert measurement.warnings == ("unused: did not run in the forward pass and was not measured",)
    with pytest.raises(ValueError, match=r"^layer 'unused' must run in the forward pass to be measured"):
        Probe(inputs, labels).measure(model, layers=["unused"])


def test_one_object_or_keywords_or_both_say_how_to_measure() -> None:
    model, probe = small_net(), Probe(*labelled())
    neighbours: dict[str, Any] = {"k": 5, "signal": "neighbours"}
    by_keyword = probe.measure(model, **neighbours, std_error=False, layers=["0"])
    by_object = probe.measure(model, Measuring(**neighbours, std_error=False, layers=["0"]))
    changed = probe.measure(model, Measuring(**neighbours, layers=["0"]), std_error=False)
    nats = [
        {name: layer.estimate.nats for name, layer in found.layers.items()}
        for found in (by_keyword, by_object, changed)
    ]
    assert nats[0] == nats[1] == nats[2]
    assert list(nats[0]) == ["0", "output"]
    outputs = model.eval()(probe.inputs).detach()
    assert nats[0]["output"] == mutual_information(outputs, probe.targets, k=5).nats
    assert probe.of_output(outputs, **neighbours, std_error=False).estimate.nats == nats[0]["output"]
    assert Measuring(layers=["output"]) == Measuring() and Measuring(layers=["0"]).layers == ("0",)


def test_scores_that_are_no_class_scores() -> None:
    inputs, labels = labelled()
    measurement = Probe(inputs, labels + 100).measure(small_net(), decoder=False)
    assert measurement.output.decoder is None
    assert measurement.output.estimate.choice.startswith(
        "neighbours: outputs of shape (300, 3) are no scores"
    )


@pytest.mark.parametrize("labels", [True, False])
def test_examples_with_equal_outputs_all_contribute(labels: bool) -> None:
    """A network maps many inputs to one output: such examples are no copies, and are not left out."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 4, generator=generator).repeat_interleave(2, 0)
    targets = (inputs[:, 0] > 0).long() if labels else inputs[:, :1].clone()
    probe = Probe(inputs, targets)
    found = probe.measure(nn.Linear(4, 3 if labels else 1), Measuring(signal="neighbours")).output.estimate
    assert found.pointwise is not None and len(found.pointwise) == found.n == 120
