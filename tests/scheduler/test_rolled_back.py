"""What is no reason to roll an epoch back, and what is said where rolling back does not help."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Bounds, MutualInformationLR, Probe, find_bounds
from infopace.range_test import Race
from infopace.scheduler import RollBackError

from ..small_run import data

BOUNDS = Bounds(0.01, 0.3)
EPOCHS = 8


def filled(model: nn.Module, value: float) -> nn.Module:
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)
    return model


def softmax_regression(value: float = 0.0) -> nn.Module:
    return filled(nn.Linear(8, 4), value)


def zero_head() -> nn.Module:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(8, 64), nn.ReLU()).requires_grad_(False)
    return nn.Sequential(backbone, filled(nn.Linear(64, 4), 0.0))


class LowRank(nn.Module):
    """A frozen layer and what is added to it, as in LoRA (arXiv:2106.09685): A at random, B zero."""

    def __init__(self, train: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.base = nn.Linear(8, 4).requires_grad_(False)
        self.a = nn.Parameter(torch.randn(8, 6) / 8**0.5, requires_grad="a" in train)
        self.b = nn.Parameter(torch.zeros(6, 4), requires_grad="b" in train)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.a @ self.b


FROM_NOTHING: dict[str, Callable[[], nn.Module]] = {
    "softmax regression": softmax_regression,
    "softmax regression from 1e-30": lambda: softmax_regression(1e-30),
    "zero head": zero_head,
    "low rank": lambda: LowRank("ab"),
    "the zero matrix alone": lambda: LowRank("b"),
}


def trained(
    build: Callable[[], nn.Module], *, roll_back: bool, bounds: Bounds = BOUNDS
) -> tuple[float, MutualInformationLR]:
    """Accuracy after some epochs, and the scheduler of the run."""
    model, (inputs, labels) = build(), data()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    scheduler = MutualInformationLR(
        optimizer, model, Probe.sample(data(), 200), bounds=bounds, roll_back=roll_back
    )
    for epoch in range(EPOCHS):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))
        for examples in order.split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[examples]), labels[examples]).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()
    return accuracy(model), scheduler


def accuracy(model: nn.Module) -> float:
    inputs, labels = data()
    return float((model(inputs).argmax(1) == labels).double().mean())


@pytest.mark.parametrize("name", FROM_NOTHING)
def test_growth_from_nothing_is_no_explosion(name: str) -> None:
    reached, scheduler = trained(FROM_NOTHING[name], roll_back=True)
    without, _ = trained(FROM_NOTHING[name], roll_back=False)
    assert scheduler.rolled_back == []
    assert abs(reached - without) <= 0.01
    # What is frozen at random keeps the low-rank one, of which B alone is trained, from more.
    assert reached > (0.45 if name == "the zero matrix alone" else 0.85)


def test_weights_that_explode_from_zero_are_rolled_back() -> None:
    model = softmax_regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=BOUNDS)
    one_epoch(model, optimizer)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1e9)
    scheduler.observe()
    assert scheduler.rolled_back == [1]
    assert scheduler.decisions[-1][0].reason.startswith(
        "epoch 1 rolled back, lr_top and lr_max times 0.5: the norm of the weights is "
    )
    assert all(not weight.any() for weight in model.parameters())


@pytest.mark.slow
def test_a_range_test_of_weights_that_are_zero_finds_bounds() -> None:
    inputs, labels = data()
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))
    model = softmax_regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = find_bounds(
        model, optimizer, F.cross_entropy, batches, Probe.sample(data(), 200), epochs=2, method=Race(high=1e4)
    )
    reached, scheduler = trained(softmax_regression, roll_back=True, bounds=found.bounds)
    assert scheduler.rolled_back == [] and reached > 0.85


def one_epoch(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs, labels = data()
    for x, y in zip(inputs.split(50), labels.split(50), strict=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


class Masked(nn.Module):
    """What is not finite in it never is, and is no harm: a mask, and a frozen layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(8, 4)
        self.mask = nn.Parameter(torch.tensor([0.0, -math.inf, 0.0]))
        self.unused = filled(nn.Linear(2, 2), math.nan).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * torch.softmax(self.mask.detach(), 0).max()


def masked_run(**options: Any) -> tuple[Masked, torch.optim.Optimizer, MutualInformationLR]:
    model = Masked()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    probe = Probe.sample(data(), 200)
    return model, optimizer, MutualInformationLR(optimizer, model, probe, bounds=BOUNDS, **options)


@pytest.mark.filterwarnings(r"ignore:observe\(\) was called 4 times and step\(\) never")
def test_what_is_not_finite_from_the_start_is_no_divergence() -> None:
    model, optimizer, scheduler = masked_run()
    for _ in range(3):
        one_epoch(model, optimizer)
        scheduler.observe()
    assert scheduler.rolled_back == []
    # Of the same tensor, what becomes so is.
    one_epoch(model, optimizer)
    with torch.no_grad():
        model.mask[0] = -math.inf
    scheduler.observe()
    assert scheduler.rolled_back == [4] and model.mask.tolist() == [0.0, -math.inf, 0.0]
    # And so is one that explodes.
    one_epoch(model, optimizer)
    with torch.no_grad():
        model.mask[0] = 1e12
    scheduler.observe()
    assert scheduler.rolled_back == [4, 5] and model.mask.tolist() == [0.0, -math.inf, 0.0]


def test_complex_weights_have_a_norm() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(5, 4, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return (torch.fft.rfft(x) @ self.weight).real

    model = Spectral()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=BOUNDS)
    for factor in (1.0, 1e12, math.nan):
        one_epoch(model, optimizer)
        with torch.no_grad():
            model.weight.mul_(factor)
        scheduler.observe()
    assert scheduler.rolled_back == [2, 3]


class OnlyTrained(nn.Module):
    """In evaluation mode its outputs are not finite, once it has been trained."""

    def __init__(self, *, from_the_start: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.broken = nn.Linear(8, 4), from_the_start

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        if self.training:
            self.broken = True
        return out if self.training or not self.broken else out * math.nan


@pytest.mark.parametrize(("bounds", "most"), [(Bounds(0.05, 0.1), 3), (Bounds(1e-9, 0.1), 10)])
def test_where_no_rate_helps_the_roll_back_ends_with_an_error(bounds: Bounds, most: int) -> None:
    model = OnlyTrained()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=bounds)
    weights, lrs = copy.deepcopy(model.state_dict()), []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(most - 1):
            lrs.append(optimizer.param_groups[0]["lr"])
            one_epoch(model, optimizer)
            scheduler.observe()
            scheduler.step()
    said = "epochs 1 to 3 were rolled back one after the other, the last because the output does not fit the probe"
    assert [str(one.message).startswith(said) for one in found] == [True] * (most > 3)
    lrs.append(optimizer.param_groups[0]["lr"])
    state = scheduler.state_dict()
    for _ in range(2):  # once more changes nothing
        one_epoch(model, optimizer)
        with pytest.raises(RollBackError) as error:
            scheduler.observe()
        assert str(error.value) == (
            f"epochs 1 to {most} were rolled back one after the other, at learning rates from {lrs[0]:.3g} "
            f"to {lrs[-1]:.3g}, and no rate helps; the last because the output does not fit the probe: scores must be "
            "finite, got nan in 200 of 200 examples, first at example 0, column 0; check the data and the loss for "
            "nan or inf, and the model in evaluation mode"
        )
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in weights.items())
        assert scheduler.state_dict() == state
    assert min(lrs) >= bounds.lr_min and scheduler.rolled_back == list(range(1, most))


def test_only_epochs_in_a_row_count() -> None:
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bounds = Bounds(0.05, 0.1)
    scheduler = MutualInformationLR(optimizer, model, Probe.sample(data(), 200), bounds=bounds)
    for epoch in range(8):
        one_epoch(model, optimizer)
        if epoch % 3 == 2:
            scheduler.observe()
        else:
            scheduler.roll_back("as a test")
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] >= 0.05
    assert scheduler.rolled_back == [1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize("roll_back", [False, True])
def test_a_model_that_is_not_finite_from_the_start_is_refused(roll_back: bool) -> None:
    """In evaluation mode only, or by a nan in a frozen base, or in the probe's inputs."""
    spoiled = data()[0].clone()
    spoiled[3] = math.nan
    base = nn.Sequential(filled(nn.Linear(8, 8), math.nan).requires_grad_(False), nn.Linear(8, 4))
    for model, inputs, count, example in (
        (OnlyTrained(from_the_start=True), data()[0], 600, 0),
        (base, data()[0], 600, 0),
        (nn.Linear(8, 4), spoiled, 1, 3),
    ):
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.SGD(weights, lr=0.1)
        with pytest.raises(ValueError) as error:
            MutualInformationLR(
                optimizer, model, Probe(inputs, data()[1]), bounds=BOUNDS, roll_back=roll_back
            )
        assert str(error.value) == (
            f"the model cannot be measured before training: the output does not fit the probe: "
            f"scores must be finite, got nan in {count} of 600 examples, first at example {example}, column 0; "
            "check the probe's inputs, the weights, frozen ones too, and the model in evaluation mode"
        )


def test_held_out_outputs_that_are_no_longer_finite_are_a_divergence_too() -> None:
    class Overflowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            out = self.inner(x)
            return torch.where(x[:, :1].abs() > 50, out * math.inf, out) if self.spoiled else out

        spoiled = False

    inputs, labels = data()
    held_out = inputs[400:].clone()
    held_out[7, 0] = 60.0
    model = Overflowing()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = MutualInformationLR(
        optimizer,
        model,
        Probe(inputs[:400], labels[:400]),
        BOUNDS,
        None,
        held_out=Probe(held_out, labels[400:]),
    )
    one_epoch(model, optimizer)
    model.spoiled = True
    scheduler.observe()
    assert scheduler.rolled_back == [1]
