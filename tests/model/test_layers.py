"""Which layers a model has, and which parameters belong to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from infopace import layer_groups
from infopace.model import weight_layers
from infopace.model.layers import pick_layers, unwrap


class Patches(nn.Module):
    """A small transformer-like model: a parameter of its own at the front, norms before and after, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 4, 8))
        self.norm_in = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm_in(x + self.position)
        return self.head(self.norm(self.attention(x, x, x)[0]).mean(1))


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(16, 5, bias=False),
        nn.LayerNorm(5),
    )


def test_layers_are_modules_with_matrices() -> None:
    assert list(weight_layers(convolutional())) == ["0", "4"]
    assert list(weight_layers(Patches())) == ["attention", "head"]
    assert list(weight_layers(nn.Linear(2, 3))) == ["output"]
    assert list(weight_layers(nn.Sequential(weight_norm(nn.Linear(2, 3)), nn.GRU(3, 4)))) == ["0", "1"]


def test_a_shared_module_is_one_layer() -> None:
    shared = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU()), "b": nn.Sequential(shared)})
    assert list(weight_layers(model)) == ["a.0"]


@pytest.mark.parametrize(
    "model", [convolutional(), Patches(), nn.Linear(2, 3), nn.Sequential(weight_norm(nn.Linear(2, 3)))]
)
def test_groups_hold_every_parameter_once(model: nn.Module) -> None:
    groups = layer_groups(model, lr=0.1)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    assert [group["layer"] for group in groups] == list(weight_layers(model))
    assert all(group["lr"] == 0.1 for group in groups)
    torch.optim.SGD(groups)


def test_norms_and_activations_belong_to_the_layer_before_them() -> None:
    model = convolutional()
    first, second = layer_groups(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names[id(p)] for p in first["params"]] == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight"]
    assert [names[id(p)] for p in second["params"]] == ["4.weight", "5.weight", "5.bias"]


def test_what_stands_before_every_layer_belongs_to_the_first() -> None:
    model = Patches()
    first, second = layer_groups(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)].split(".")[0] for p in first["params"]} == {
        "position",
        "norm_in",
        "attention",
        "norm",
    }
    assert {names[id(p)].split(".")[0] for p in second["params"]} == {"head"}


def test_frozen_parameters_are_left_out() -> None:
    model = convolutional()
    model[0].requires_grad_(False)
    assert [len(group["params"]) for group in layer_groups(model)] == [3, 3]
    with pytest.raises(
        ValueError, match=r"^layer_groups needs a model with trainable weights, got ReLU without$"
    ):
        layer_groups(nn.ReLU())


def test_names_and_patterns_pick_modules() -> None:
    model = nn.ModuleDict(
        {"conv1": nn.Conv2d(1, 2, 3), "conv2": nn.Conv2d(2, 2, 3), "norm": nn.BatchNorm2d(2)}
    )
    assert list(pick_layers(model, "conv*")) == ["conv1", "conv2"]
    assert list(pick_layers(model, ["norm", "conv1"])) == ["conv1", "norm"]
    assert pick_layers(model, "output") == {}
    assert list(pick_layers(nn.ModuleDict({"a[0]": nn.Linear(2, 2), "a0": nn.Linear(2, 2)}), "a[0]")) == [
        "a[0]"
    ]
    with pytest.raises(ValueError) as error:
        pick_layers(model, ["cov1"])
    assert str(error.value) == (
        "unknown layer 'cov1'; did you mean 'conv1' or 'conv2'? The layers are: conv1, conv2, norm"
    )


def test_wrappers_are_removed() -> None:
    model = nn.Linear(2, 2)
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(model, backend="eager")) is model  # pyright: ignore[reportArgumentType]
