"""The outputs of named layers: with gradients, by any name, and nothing left behind."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from infopace import Probe
from infopace.regularizers import EnsembleDecorrelation, GaussianNoise, Layers, NormalizedHSIC


def network(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace), nn.Linear(4, 2))


def test_a_term_of_a_layer_has_gradients_up_to_there() -> None:
    model = network()
    with Layers(model, ["0", "1"]) as layers:
        model(torch.randn(8, 3))
        assert layers.names == ("0", "1")
        EnsembleDecorrelation(4)(layers["0"]).backward()
    assert model[0].weight.grad is not None and model[2].weight.grad is None


def test_the_last_pass_counts() -> None:
    model = network()
    with Layers(model, "2") as layers:
        model(torch.randn(8, 3))
        scores = model(torch.randn(5, 3))
        assert layers["2"] is scores


def test_nothing_is_left_behind() -> None:
    model = network()
    layers = Layers(model, "*", change=GaussianNoise(0.5))
    inputs = torch.randn(8, 3)
    changed = model(inputs)
    layers.close()
    layers.close()
    assert not any(module._forward_hooks for module in model.modules())
    assert not torch.equal(model(inputs), changed) and torch.equal(model(inputs), model(inputs))
    with pytest.raises(RuntimeError, match=r"^layer '0' has given no output yet: call the model first$"):
        layers["0"]
    with pytest.raises(ZeroDivisionError), Layers(model, "0"):
        raise ZeroDivisionError
    assert not model[0]._forward_hooks


def test_the_model_is_found_in_its_wrapper() -> None:
    model = nn.DataParallel(network())
    with Layers(model, "0") as layers:
        model(torch.randn(8, 3))
        assert layers["0"].shape == (8, 4)


def test_an_output_that_was_changed_in_place_is_refused() -> None:
    model = network(inplace=True)
    with Layers(model, ["0", "1"]) as layers:
        model(torch.randn(8, 3))
        assert layers["1"].min() >= 0
        with pytest.raises(
            RuntimeError, match=r"^layer '0' was changed in place after it ran: name the layer"
        ):
            layers["0"]


def test_a_layer_with_several_results_gives_its_main_one() -> None:
    model = nn.Sequential(nn.LSTM(3, 4, batch_first=True))
    with Layers(model, "0") as layers:
        model(torch.randn(5, 2, 3))
        assert layers["0"].shape == (5, 2, 4)
    changed = Layers(model, "0", change=GaussianNoise(0.5))
    with (
        changed,
        pytest.raises(TypeError, match=r"^layer '0' must give one tensor to be changed, got tuple$"),
    ):
        model(torch.randn(5, 2, 3))


def test_unknown_names_are_refused() -> None:
    model = network()
    with pytest.raises(ValueError, match=re.escape("unknown layer '3'")):
        Layers(model, "3")
    with pytest.raises(ValueError, match=r"^names must name a layer, got \[\]$"):
        Layers(model, [])
    with Layers(model, "0") as layers, pytest.raises(KeyError, match="unknown layer '2'"):
        layers["2"]


def test_a_pass_without_gradients_can_be_read() -> None:
    model = network()
    with Layers(model, "0") as layers, torch.inference_mode():
        model(torch.randn(8, 3))
        assert float(NormalizedHSIC()(layers["0"], torch.randn(8, 1))) < 1


def test_a_copy_of_the_model_is_not_read() -> None:
    model = network()
    with Layers(model, "0") as layers:
        model(torch.randn(8, 3))
        kept = layers["0"]
        copy.deepcopy(model)(torch.randn(5, 3))
        assert layers["0"] is kept


def test_a_probe_measures_a_model_that_has_them() -> None:
    model = network()
    inputs = torch.randn(200, 3)
    probe = Probe(inputs, (inputs[:, 0] > 0).long())
    plain = probe.measure(model)
    with Layers(model, "0", change=GaussianNoise(0.5)):
        assert probe.measure(model).layers == plain.layers


def test_evaluation_has_no_noise() -> None:
    """The noise is no part of the model, so `model.eval()` does not reach it: the layer's own mode counts."""
    model, inputs = network(), torch.randn(8, 3)
    clean = model(inputs)
    with Layers(model, "0", change=GaussianNoise(0.5)):
        assert not torch.equal(model(inputs), clean)
        assert torch.equal(model.eval()(inputs), clean)
