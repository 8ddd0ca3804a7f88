"""The whole test on a real model."""

from __future__ import annotations

import dataclasses
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from infopace import Bounds, MutualInformationLR, Probe, RangeTest, Vasudevan2020, layer_groups
from infopace.probe import Measuring
from infopace.range_test import Algorithm2, Race
from infopace.range_test._trainee import Trainee

from .small import clouds, small_net, small_test


def without_seconds(found: RangeTest) -> str:
    trials = [
        [dataclasses.replace(candidate, seconds=0.0) for candidate in trial.candidates]
        for trial in found.trials
    ]
    return repr((found.bounds, trials))


@pytest.mark.slow
def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    one = small_test()
    assert without_seconds(one) == without_seconds(small_test())
    assert without_seconds(one) != without_seconds(small_test(seed=1))


def test_error_bars_are_computed_whatever_is_asked_for() -> None:
    found = []
    model, probe = small_net(), Probe(*clouds())
    for measuring in (Measuring(std_error=False), Measuring()):
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        trainee = Trainee(model, optimizer, F.cross_entropy, [clouds()], probe, measuring=measuring)
        found.append(trainee.evaluate())
    assert found[0] == found[1]
    assert found[0].std_error > 0


def test_the_bounds_train_and_beyond_them_nothing_does() -> None:
    found = small_test()
    b = found.bounds
    assert 0 < b.lr_min < b.lr_top < b.lr_max < 10

    def accuracy(lr: float) -> float:
        torch.manual_seed(5)
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        inputs, labels = clouds()
        for _ in range(100):
            for x, y in zip(inputs.split(16), labels.split(16), strict=True):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
        return float((model.eval()(inputs).argmax(1) == labels).double().mean())

    assert accuracy(b.lr_top) > 0.85
    assert not accuracy(30 * b.lr_max) > 0.7


def test_spread_cost_table_and_text() -> None:
    found = small_test()
    assert all(0 <= decades < 2 for decades in found.spread.values())
    assert found.steps == sum(trial.steps for trial in found.trials)
    assert found.cost == pytest.approx(found.steps / 160)
    rates = [row.lr for row in found.table]
    assert rates == sorted(set(rates))
    text = str(found)
    assert "lr_top" in text
    assert "the run is short, 160 steps" in text
    assert len(found.trial_bounds) == 2


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ["accuracy", "loss", "information"])
def test_any_attribute_drives_it(attribute: str) -> None:
    found = small_test(attribute=attribute)
    assert found.attribute == attribute
    assert 1e-3 < found.bounds.lr_top < 3


@pytest.mark.slow
def test_a_regression_is_driven_by_information() -> None:
    inputs, _ = clouds()
    targets = inputs[:, :1] * 2 + 0.1 * inputs[:, 1:2]
    batches = [(inputs[i : i + 16], targets[i : i + 16]) for i in range(0, 120, 16)]

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    found = small_test(model=net(), fresh=net, loss=F.mse_loss, batches=batches, probe=Probe(inputs, targets))
    assert found.attribute == "information"
    assert found.bounds.lr_min < found.bounds.lr_top <= found.bounds.lr_max


@pytest.mark.slow
def test_layer_by_layer_and_into_the_scheduler() -> None:
    found = small_test(layer_wise=True, method=Race(trials=1))
    assert list(found.layer_bounds) == ["0", "3"]
    for own in found.layer_bounds.values():
        assert own.lr_min / own.lr_top == pytest.approx(found.bounds.lr_min / found.bounds.lr_top)
    # The shared rate's trial, then one for each layer.
    assert [trial.number for trial in found.trials] == [0, 1, 2]

    model = small_net()
    optimizer = torch.optim.SGD(layer_groups(model), lr=1.0)
    probe = Probe(*clouds())
    scheduler = MutualInformationLR(optimizer, model, probe, found.layer_bounds, Vasudevan2020(5))
    assert scheduler.get_last_lr() == [own.lr_top for own in found.layer_bounds.values()]
    with pytest.raises(ValueError, match="bounds must hold every driving layer, got none for '3'"):
        MutualInformationLR(optimizer, model, probe, {"0": Bounds(0.1, 1.0)}, Vasudevan2020(5))


class Idle(nn.Module):
    """A layer that runs, and that no output depends on: alone it bears any rate."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(4, 4)
        self.net = small_net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x + 0 * self.idle(x))


@pytest.mark.slow
def test_a_layer_that_bears_any_rate_has_the_largest_as_lr_max() -> None:
    found = small_test(model=Idle(), fresh=Idle, layer_wise=True, method=Race(trials=1, high=3.0))
    idle = found.layer_bounds["idle"]
    assert idle.lr_max == 1.78
    assert found.bounds.lr_top <= idle.lr_top < found.bounds.lr_top * 10**0.25
    assert all(own.lr_max < 1.78 for layer, own in found.layer_bounds.items() if layer == "net.3")


@pytest.mark.slow
def test_the_table_and_the_picture_are_of_one_rate_for_all_layers(tmp_path: Path) -> None:
    found = small_test(layer_wise=True, method=Race(trials=1))
    (shared,) = found.shared_trials
    assert shared is found.trials[0]
    assert [row.lr for row in found.table] == [c.lr for c in shared.completed]
    assert {row.trials for row in found.table} == {1}
    assert found.steps > shared.steps
    assert (
        f"{found.steps - shared.steps:,} of the {found.steps:,} steps are for the rates of 2 layers"
        in str(found)
    )
    assert f"steps a candidate, {shared.steps:,} in all" in str(found)


@pytest.mark.slow
def test_algorithm_2_with_layers_in_the_same_trials() -> None:
    # Hidden layers have most of the information before training: a smaller threshold.
    rates = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    method = Algorithm2(trials=2, epochs=3, rates=rates, c1=100.0, retry=False)
    found = small_test(method=method, layer_wise=True, attribute="loss")
    assert found.method == "algorithm 2"
    assert set(found.layer_bounds) == {"0", "3"}
    assert {row.lr for row in found.table} <= set(method.rates)


def test_a_retried_trial_starts_where_the_one_before_crashed() -> None:
    rates = (0.01, 0.1, 0.3, 30.0, 100.0)
    found = small_test(method=Algorithm2(trials=2, epochs=3, rates=rates), attribute="loss")
    first, second = found.trials
    assert first.crashed
    assert second.candidates[0].lr == first.crashed[0].lr


@pytest.mark.slow
def test_fine_tuning_starts_from_the_given_weights() -> None:
    torch.manual_seed(4)
    model = small_net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = small_test(model=model, fresh=None)
    losses = {trial.candidates[0].first.loss for trial in found.trials}
    assert len(losses) == 1
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    fresh = small_test(model=model)
    assert len({trial.candidates[0].first.loss for trial in fresh.trials}) == 2


@pytest.mark.slow
def test_a_model_that_returns_logits_in_an_object() -> None:
    Output = namedtuple("Output", ["logits"])

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net()

        def forward(self, x: torch.Tensor) -> Any:
            return Output(self.net(x))

    assert small_test(model=Wrapped(), fresh=Wrapped).bounds.lr_max > 0


REFUSED = {
    "attribute must be one of 'auto', 'accuracy', 'loss', 'information', got 'f1'": {"attribute": "f1"},
    "epochs must be at least 1, got 0": {"epochs": 0},
    r"only must hold trials in 0\.\.1, got 2": {"only": [2]},
    "attribute 'accuracy' needs integer labels": {
        "attribute": "accuracy",
        "probe": Probe(clouds()[0], clouds()[0][:, :1]),
    },
    r"a batch must be a pair \(inputs, targets\), got Tensor; give unpack=f, with f\(batch\) -> ": {
        "batches": [torch.zeros(4, 4)]
    },
    "batches must hold at least one batch, got none": {"batches": []},
}


@pytest.mark.parametrize("text", REFUSED)
def test_input_that_does_not_fit(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        small_test(**REFUSED[text])


def test_layer_wise_needs_groups_with_layers() -> None:
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    from infopace import find_bounds

    batches = [(clouds()[0][:16], clouds()[1][:16])]
    with pytest.raises(
        ValueError, match="layer_wise needs parameter groups made by layer_groups, got group 0"
    ):
        find_bounds(model, optimizer, F.cross_entropy, batches, Probe(*clouds()), epochs=1, layer_wise=True)


@pytest.mark.slow
def test_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = small_test(method=Race(trials=1))
    assert found.plot(tmp_path / "test.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'need matplotlib: pip install "infopace\[plot\]"$'):
        found.plot(tmp_path / "other.png")


def one_logit() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))


def two_classes() -> tuple[torch.Tensor, torch.Tensor]:
    inputs, labels = clouds()
    return inputs, (labels > 0).long()[:, None]


def brier(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs - targets.float()) ** 2).mean()


@pytest.mark.slow
def test_the_loss_sees_the_probe_s_labels_as_the_batches_have_them() -> None:
    """(n, 1): flattened ones would be broadcast against the outputs, and no error would say so."""
    inputs, labels = two_classes()
    batches = list(zip(inputs.split(16), labels.split(16), strict=True))
    found = [
        small_test(
            model=one_logit(),
            fresh=one_logit,
            loss=brier,
            attribute="loss",
            batches=batches,
            probe=Probe(inputs, targets),
        )
        for targets in (labels, labels.float())
    ]
    losses = [
        [[e.loss for c in trial.candidates for e in c.evaluations] for trial in one.trials] for one in found
    ]
    assert losses[0] == losses[1]
    assert found[0].bounds.lr_max == found[1].bounds.lr_max > 0.05


@pytest.mark.parametrize("shape", [(-1, 1), (-1,)])
def test_one_logit_has_an_accuracy(shape: tuple[int, ...]) -> None:
    inputs, labels = two_classes()
    labels = labels.reshape(shape)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(outputs.reshape(shape), targets.float())

    batches = list(zip(inputs.split(16), labels.split(16), strict=True))
    found = small_test(
        model=one_logit(), fresh=one_logit, loss=loss, batches=batches, probe=Probe(inputs, labels)
    )
    assert found.attribute == "accuracy"
    best = max(e.accuracy or 0.0 for c in found.trials[0].candidates for e in c.evaluations)
    assert best > 0.85  # the share of the larger class is 0.67


@pytest.mark.slow
def test_a_layer_with_several_groups_has_one_rate() -> None:
    """Weights with decay, biases without: raced together, and as a layer with one group."""
    model = small_net()
    split = [
        {**group, "params": [p], "weight_decay": 0.0}
        for group in layer_groups(model)
        for p in group["params"]
    ]
    optimizer = torch.optim.SGD(split, lr=1.0, momentum=0.9)
    found = small_test(model=model, optimizer=lambda _: optimizer, layer_wise=True, method=Race(trials=1))
    whole = small_test(layer_wise=True, method=Race(trials=1))
    assert len(split) == 4
    assert list(found.layer_bounds) == ["0", "3"]
    assert found.layer_bounds == whole.layer_bounds
