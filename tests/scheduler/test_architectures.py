"""Every layer of well-known architectures is measured or follows a neighbour, and paces its own parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from infopace import Bounds, HoldAndDecay, MutualInformationLR, Probe, layer_groups
from infopace.model import weight_layers
from infopace.model.layers import nearest_measured, with_neighbours
from infopace.probe import Measuring

from ..architectures import ARCHITECTURES, LENGTH, VOCABULARY, examples

BOUNDS = Bounds(1e-3, 0.05)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor) -> None:
    model.train()
    for x, y in zip(inputs.split(20), labels.split(20), strict=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# The others take most of a minute, and run as evidence.
QUICK = ("GPT-2", "ViT")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ARCHITECTURES],
)
def test_layers_of_an_architecture(name: str) -> None:
    known, (inputs, labels) = ARCHITECTURES[name], examples(name)
    torch.manual_seed(0)
    model = known.build()
    layers = list(weight_layers(model))
    assert len(layers) == known.layers
    assert list(dict.fromkeys(layer.split(".")[-1] for layer in layers)) == known.names.split()

    groups = layer_groups(model)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    assert [group["layer"] for group in groups] == [layer for layer in layers if layer not in known.tied]

    probe = Probe(inputs, labels)
    for batch_size in (None, 25):
        found = probe.measure(model, layers="all", std_error=False, batch_size=batch_size)
        assert sorted([*found.layers, *found.left_out]) == sorted([*layers, "output"])
        assert set(found.left_out) == set(known.follows)
        assert all(f"{layer}: {why}" in found.warnings for layer, why in found.left_out.items())
        assert {layer: nearest_measured(layer, layers, found.layers) for layer in layers} == {
            layer: known.follows.get(layer, layer) for layer in layers
        }

    measuring = Measuring(layers="all", std_error=False)
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    scheduler = MutualInformationLR(optimizer, model, probe, BOUNDS, HoldAndDecay(2), measuring=measuring)
    for _ in range(2):
        train(model, optimizer, inputs, labels)
        scheduler.observe()
        scheduler.step()
    assert scheduler.driving_layers == [group["layer"] for group in groups]
    assert set(scheduler.history) == {*layers, "output"}
    for layer in layers:
        assert scheduler.history[layer] == scheduler.history[known.follows.get(layer, layer)]
        assert len(scheduler.history[layer]) == 3
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == scheduler.get_last_lr() and all(0 < lr <= BOUNDS.lr_max for lr in rates)


class Added(nn.Module):
    """A frozen layer and two matrices that are added to it, as in LoRA (arXiv:2106.09685)."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(base.in_features, 3) / 2)
        self.b = nn.Parameter(torch.zeros(3, base.out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.a @ self.b


class AddedLayers(nn.Module):
    """The same with layers, as a package has it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.ModuleDict({"default": nn.Linear(base.in_features, 3, bias=False)})
        zero = nn.Linear(3, base.out_features, bias=False)
        nn.init.zeros_(zero.weight)
        self.b = nn.ModuleDict({"default": zero})

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.b["default"](self.a["default"](x))


class Tied(nn.Module):
    """The embeddings are the weights of the output too, and positions are added."""

    def __init__(self) -> None:
        super().__init__()
        self.positions, self.words = nn.Embedding(LENGTH, 8), nn.Embedding(VOCABULARY, 8)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, VOCABULARY, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.words(ids) + self.positions(torch.arange(LENGTH))
        return self.head(torch.tanh(self.mix(hidden)).mean(1))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.again, self.head = nn.Embedding(VOCABULARY, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.relu(self.again(torch.relu(self.again(self.words(ids).mean(1))))))


class Branches(nn.Module):
    """One of two layers runs, and the tables of numbers say which; a third never does."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.unused = nn.Embedding(VOCABULARY, 8), nn.Linear(8, 8)
        self.one, self.other, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.first = True

    def forward(self, ids: Tensor) -> Tensor:
        values = self.words(ids).mean(1)
        return self.head(torch.relu(self.one(values) if self.first else self.other(values)))


def words_and(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Embedding(VOCABULARY, 8), nn.Flatten(), *layers)


WIDE = 8 * LENGTH
KINDS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "LoRA with matrices": (
        lambda: words_and(Added(nn.Linear(WIDE, 8)), nn.ReLU(), Added(nn.Linear(8, 3))).apply(frozen_words),
        ["2", "4"],
    ),
    "LoRA with layers": (
        lambda: words_and(AddedLayers(nn.Linear(WIDE, 3))).apply(frozen_words),
        ["2.a.default", "2.b.default"],
    ),
    "frozen": (lambda: words_and(nn.Linear(WIDE, 3)).apply(frozen_words), ["2"]),
    "tied": (Tied, ["positions", "words", "mix"]),
    "twice": (Twice, ["words", "again", "head"]),
    "weight norm": (lambda: words_and(weight_norm(nn.Linear(WIDE, 8)), nn.Linear(8, 3)), ["0", "2", "3"]),
    "spectral norm": (lambda: words_and(spectral_norm(nn.Linear(WIDE, 8)), nn.Linear(8, 3)), ["0", "2", "3"]),
    "branches": (Branches, ["words", "unused", "one", "other", "head"]),
    "no bias, a scale without dimensions": (
        lambda: words_and(nn.Linear(WIDE, 8, bias=False), Scale(), nn.Linear(8, 3)),
        ["0", "2", "4"],
    ),
}


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def frozen_words(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        module.requires_grad_(False)


def scheduled(model: nn.Module, **options: Any) -> tuple[torch.optim.Optimizer, MutualInformationLR]:
    optimizer = torch.optim.SGD(layer_groups(model), lr=0.1, momentum=0.9)
    return optimizer, MutualInformationLR(optimizer, model, Probe(*examples("GPT-2")), BOUNDS, **options)


@pytest.mark.parametrize("name", KINDS)
def test_every_group_is_driven_whatever_its_layer_is(name: str) -> None:
    build, driving = KINDS[name]
    torch.manual_seed(0)
    model, (inputs, labels) = build(), examples("GPT-2")
    trainable = [id(weight) for weight in model.parameters() if weight.requires_grad]
    optimizer, scheduler = scheduled(model, held_out=Probe(inputs.roll(1, 1), labels))
    assert sorted(id(p) for group in optimizer.param_groups for p in group["params"]) == sorted(trainable)
    assert scheduler.driving_layers == driving
    before = copy.deepcopy(model.state_dict())
    for number in range(1, 3):
        train(model, optimizer, inputs, labels)
        scheduler.observe()
        scheduler.step()
        assert {len(scheduler.history[layer]) for layer in driving} == {number + 1}
        assert {len(scheduler.held_out_history[layer]) for layer in driving} == {number + 1}
        assert all(group["lr"] > 0 for group in optimizer.param_groups)
    after = model.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    moved = {key for key, weight in model.named_parameters() if weight.requires_grad and "unused" not in key}
    assert changed >= moved - {"other.weight", "other.bias"}
    train(model, optimizer, inputs, labels)
    scheduler.roll_back("as a test")
    assert all(torch.equal(value, after[key]) for key, value in model.state_dict().items())
    state, (_, fresh) = scheduler.state_dict(), scheduled(model, held_out=Probe(inputs.roll(1, 1), labels))
    fresh.load_state_dict(state)
    assert fresh.history == scheduler.history and fresh.get_last_lr() == scheduler.get_last_lr()


def test_a_layer_that_stops_running_keeps_its_last_value_and_another_follows() -> None:
    torch.manual_seed(0)
    model, (inputs, labels) = Branches(), examples("GPT-2")
    optimizer, scheduler = scheduled(model)
    assert scheduler.history["unused"] == scheduler.history["words"]
    assert scheduler.history["other"] == scheduler.history["one"]
    train(model, optimizer, inputs, labels)
    model.first = False
    measurement = scheduler.observe()
    assert set(measurement.left_out) == {"unused", "one"}
    history = scheduler.history
    assert history["one"] == [history["one"][0]] * 2
    assert history["other"][1] == measurement["other"].estimate.nats
    assert history["unused"] == history["words"]


def test_a_layer_that_nobody_asked_to_measure_does_not_follow() -> None:
    with pytest.raises(ValueError, match=r"^a parameter group cannot be driven: unknown layer 'positions'"):
        scheduled(Tied(), measuring=Measuring(layers=["words"]))
    with pytest.raises(ValueError, match=r"^the output of layer 'positions' must have one row per example"):
        scheduled(Tied(), measuring=Measuring(layers=["positions", "words", "mix"]))


def test_the_nearest_layer_is_the_one_with_most_of_the_name_in_common() -> None:
    layers = ["embed", "a.0.q", "a.0.bias", "a.1.bias", "a.1.q", "b.table", "b.0.q", "b.0.k", "head"]
    measured = ["embed", "a.0.q", "a.1.q", "b.0.q", "b.0.k", "output"]
    expected = {
        "a.0.bias": "a.0.q",  # before it
        "a.1.bias": "a.1.q",  # in the same part, though after it
        "b.table": "b.0.q",  # the nearer of two
        "head": "b.0.k",
        "a.0.q": "a.0.q",
        "output": "output",
    }
    assert {layer: nearest_measured(layer, layers, measured) for layer in expected} == expected
    assert nearest_measured("head", layers, ["output"]) == "output"
    with pytest.raises(ValueError, match=r"^unknown layer 'heads'"):
        nearest_measured("heads", layers, measured)
    assert with_neighbours({"a.0.q": 1, "output": 2}, ["a.0.bias", "a.0.q"], layers) == {
        "a.0.bias": 1,
        "a.0.q": 1,
        "output": 2,
    }
