"""I(X; T + N) on known answers, and the plane of models with other targets and other outputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from infopace import Probe
from infopace.diagnostics import InformationPlane, information_through_noise
from infopace.diagnostics._through_noise import with_null

from .looks import through_noise


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("d", "noise"), [(1, 0.3), (2, 1.0), (5, 2.0), (10, 1.0), (20, 0.3)])
def test_the_interval_holds_the_information_of_a_normal_law(d: int, noise: float) -> None:
    truth = d / 2 * math.log(1 + noise**-2)
    found = [information_through_noise(normal(200, d, seed), noise, draws=2) for seed in range(8)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) >= 7
    assert all(one.nats <= math.log(200) for one in found)


def test_it_is_within_the_bounds_of_pairwise_distances() -> None:
    """Kolchinsky and Tracey 2017, eq. 10: by Bhattacharyya from below, by Kullback-Leibler from above."""
    for d, noise in ((1, 0.5), (3, 1.0), (12, 1.0), (40, 0.5)):
        t = normal(100, d)
        deviation = noise * float(t.square().mean().sqrt())
        squares = torch.cdist(t, t).square() / deviation**2
        low, high = (float(-(-squares / part).exp().mean(1).log().mean()) for part in (8, 2))
        found = information_through_noise(t, noise, draws=20)
        assert low < found.nats < high + 1e-6, (d, noise)


def test_it_is_that_of_the_densities_themselves() -> None:
    t = normal(30, 4)
    assert information_through_noise(t, 0.7, draws=3).nats == pytest.approx(through_noise(t, 0.7, 3))


def test_more_columns_than_examples_are_turned_into_their_span() -> None:
    narrow = normal(60, 5)
    wide = nn.functional.pad(narrow, (0, 195))
    turned = wide @ torch.linalg.qr(normal(200, 200, 1))[0]
    # rms is over 40 times as many columns, so the same noise is sqrt(40) times larger relative to it.
    one = information_through_noise(narrow, 1.0, draws=100)
    other = information_through_noise(turned, math.sqrt(40), draws=100)
    assert one.nats == pytest.approx(other.nats, abs=0.03)


def test_scale_changes_nothing_and_shuffled_inputs_have_nothing() -> None:
    t = normal(100, 3)
    found, null = with_null(t, 1.0)
    scaled, scaled_null = with_null(1e-3 * t, 1.0)
    assert (found.nats, null) == pytest.approx((scaled.nats, scaled_null))
    assert 0 <= null < 0.02 < 0.5 < found.nats
    assert found.pointwise is not None and float(found.pointwise.mean()) == pytest.approx(found.nats)


def test_a_value_near_its_cap_has_a_caution() -> None:
    found = information_through_noise(normal(100, 50), 0.3)
    assert found.nats == pytest.approx(found.ceiling) and found.ceiling == pytest.approx(math.log(100))
    assert [caution.kind for caution in found.warnings] == ["beyond-reach"]
    assert found.interval[1] > 62  # the truth
    assert not information_through_noise(normal(100, 2), 1.0).warnings


def test_a_constant_layer_says_nothing() -> None:
    for value in (0.0, 3.0):
        found = information_through_noise(torch.full((10, 4), value), 1.0)
        assert found.nats == pytest.approx(0.0) and found.interval == pytest.approx((0.0, 0.0))
        assert [caution.kind for caution in found.warnings] == ["constant"]


@pytest.mark.parametrize(
    ("t", "noise", "line"),
    [
        (torch.zeros(3, 2), 1.0, "t must be (n, ...) outputs of at least 4 examples, got shape (3, 2)"),
        (torch.zeros(9), 1.0, "t must be (n, ...) outputs of at least 4 examples, got shape (9,)"),
        (torch.full((9, 2), torch.inf), 1.0, "outputs must be finite, got inf"),
        (torch.zeros(9, 2), -1.0, "noise must be a positive number, got -1.0"),
    ],
)
def test_bad_input_is_refused(t: Tensor, noise: float, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        information_through_noise(t, noise)
    assert str(caught.value) == line


def test_shuffled_targets_are_the_null() -> None:
    x = normal(200, 2).float()
    plane = InformationPlane(Probe(x, (x[:, 0] > 0).long()), 1.0)(nn.Linear(2, 2))
    assert list(plane.points) == ["output"]  # the only layer is the output
    torch.manual_seed(0)
    plane = InformationPlane(Probe(x, (x[:, 0] > 0).long()), 1.0)(
        nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    )
    assert list(plane.points) == ["0", "output"]
    assert plane["0"].about_targets.nats > 0.4 and abs(plane["0"].targets_null) < 0.05
    assert "noise 1 rms(T)" in plane.title


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 4), nn.Linear(4, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embed(tokens))


def test_every_kind_of_targets_has_a_plane() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 3)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    cases: list[tuple[Probe, nn.Module]] = [
        (Probe(x, x[:, :2] + 0.1 * torch.randn(60, 2)), net),
        (Probe(x, x[:, :2] > 0), net),
        (Probe(x, torch.softmax(x[:, :2], 1)), net),
        (Probe(torch.randint(5, (60, 6)), torch.randint(5, (60, 6))), Tokens()),
        (
            Probe.sample(
                (x, x[:, 0] > 0), 60, forward=lambda model, batch: (model(batch[0]), batch[1].long())
            ),
            net,
        ),
    ]
    for probe, model in cases:
        plane = InformationPlane(probe, 1.0, draws=1)(model)
        assert len(plane.points) == 2 and list(plane.points)[-1] == "output"
        for point in plane.points.values():
            assert math.isfinite(point.targets_null) and point.inputs_null < 0.1 < point.about_inputs.nats


def test_a_layer_that_does_not_run_is_left_out_or_refused() -> None:
    x = normal(40, 2).float()
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    net.add_module("idle", nn.Identity())
    net.register_module("unused", nn.ModuleList([nn.Linear(2, 2)]))

    def forward(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return model.get_submodule("1")(model.get_submodule("0")(batch[0])), batch[1]

    probe = Probe.sample((x, (x[:, 0] > 0).long()), 40, forward=forward)
    assert list(InformationPlane(probe, 1.0)(net).left_out) == ["unused.0"]
    with pytest.raises(ValueError) as caught:
        InformationPlane(probe, 1.0, layers="unused.0")(net)
    assert "layer 'unused.0' must run in the forward pass" in str(caught.value)
