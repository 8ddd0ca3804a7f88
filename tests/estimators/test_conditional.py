"""What x and y share beyond z."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from infopace.estimators._conditional import conditional_mutual_information, frenzel_pompe
from infopace.estimators._mutual_information import mutual_information
from infopace.estimators._neighbour_search._distances import pairwise_distances


def normal(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measure(x: Any, y: Any, z: Any, **options: Any) -> float:
    return conditional_mutual_information(x, y, z, std_error=False, **options).nats


def psi(value: float) -> float:
    return float(torch.digamma(torch.tensor(value, dtype=torch.float64)))


def slow(x: Tensor, y: Tensor, z: Tensor, k: int) -> float:
    """Example by example, pair by pair, Euclidean; on integers, whose distances are exact."""
    total, n = 0.0, len(x)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        dx, dy, dz = ([float((b[i] - b[j]).square().sum()) for j in others] for b in (x, y, z))
        xz = [max(a, c) for a, c in zip(dx, dz, strict=True)]
        yz = [max(b, c) for b, c in zip(dy, dz, strict=True)]
        joint = [max(a, b) for a, b in zip(xz, yz, strict=True)]
        radius = sorted(joint)[k - 1]
        own = radius == 0
        total += psi(sum(d <= radius for d in joint) + own)
        for sign, space in ((-1, xz), (-1, yz), (1, dz)):
            within, nearer = sum(d <= radius for d in space), sum(d < radius for d in space)
            total += sign * psi(within + 1 if own else max(within, nearer + 1))
    return total / n


@pytest.mark.parametrize(
    ("widths", "levels", "k"), [((1, 1, 1), 3, 1), ((2, 1, 6), 5, 3), ((6, 5, 1), 300, 2)]
)
def test_equals_the_count_pair_by_pair(widths: tuple[int, int, int], levels: int, k: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    x, y, z = (torch.randint(levels, (40, width), generator=generator).double() for width in widths)
    dx, dy, dz = (pairwise_distances(block, "euclidean") for block in (x, y, z))
    assert frenzel_pompe(dx, dy, dz, k) == pytest.approx(slow(x, y, z, k), abs=1e-12)


def test_a_chain_shares_nothing_beyond_its_middle_and_a_sum_does() -> None:
    x, z, noise = normal(800, 1, 0), normal(800, 1, 1), normal(800, 1, 2)
    assert abs(measure(x + z, z + noise, z)) < 0.06
    assert measure(x, x + z + noise, z) == pytest.approx(math.log(2) / 2, abs=0.06)
    # Independent until the sum is known.
    assert mutual_information(x, noise, estimator="ksg1", std_error=False).nats < 0.06
    assert measure(x, noise, x + noise + z) > 0.1


def test_symmetric_and_independent_of_the_scale_of_blocks() -> None:
    x, y, z = normal(200, 2, 3), normal(200, 1, 4), normal(200, 3, 5)
    y += x[:, :1]
    value = measure(x, y, z)
    assert measure(y, x, z) == value
    assert measure(8 * x, y / 4, 2 * z) == value
    order = torch.randperm(200, generator=torch.Generator().manual_seed(6))
    assert measure(x[order], y[order], z[order]) == pytest.approx(value, abs=1e-12)


def test_labels_to_know_give_the_mean_over_the_classes() -> None:
    x, noise = normal(300, 2, 7), normal(300, 1, 8)
    z = torch.arange(300) % 3
    y = x[:, :1] * z[:, None] + noise
    parts = [
        mutual_information(x[z == c], y[z == c], estimator="gao", standardize="block", std_error=False).nats
        for c in range(3)
    ]
    assert measure(x, y, z) == pytest.approx(sum(parts) / 3, abs=1e-12)
    labels = (x[:, 0] > 0).long()
    parts = [mutual_information(x[z == c], labels[z == c], std_error=False).nats for c in range(3)]
    estimate = conditional_mutual_information(x, labels, z)
    assert estimate.nats == pytest.approx(sum(parts) / 3, abs=1e-12)
    assert estimate.nats <= estimate.ceiling == pytest.approx(math.log(2), abs=0.01)


def test_labels_to_predict_beside_vectors() -> None:
    """I(T;Y|Z) = I(T,Z;Y) - I(Z;Y): all of ln 2 where z says nothing, nothing where it says all."""
    x = normal(600, 1, 9)
    labels = (x[:, 0] > 0).long()
    assert measure(x, labels, normal(600, 1, 10)) == pytest.approx(math.log(2), abs=0.06)
    assert abs(measure(x, labels, 10.0 * labels[:, None] + normal(600, 1, 11))) < 0.06


def test_constant_vectors_to_know_leave_mutual_information() -> None:
    x = normal(300, 1, 12)
    y = x + normal(300, 1, 13)
    known = torch.ones(300, 1, dtype=torch.float64)
    # psi(n) of all examples replaces z.
    assert measure(x, y, known) == pytest.approx(
        mutual_information(x, y, estimator="ksg1", standardize="block", std_error=False).nats, abs=1e-12
    )


def test_rounding_is_no_information() -> None:
    x, y, z = ((normal(800, 1, seed) / 0.25).round() for seed in (14, 15, 16))
    assert abs(measure(x, y, z)) < 0.1


@pytest.mark.slow
def test_the_error_bar_is_of_the_size_of_the_spread() -> None:
    estimates = []
    for seed in range(8):
        x, z = normal(120, 1, 100 + seed), normal(120, 1, 200 + seed)
        estimates.append(conditional_mutual_information(x, x + z + normal(120, 1, 300 + seed), z))
    spread = float(torch.tensor([estimate.nats for estimate in estimates]).std())
    typical = float(torch.tensor([estimate.std_error for estimate in estimates]).square().mean().sqrt())
    assert 0.4 < typical / spread < 2.5


def test_examples_alone_in_their_class_are_left_out_and_said() -> None:
    x = normal(41, 1, 17)
    z = torch.cat([torch.arange(40) % 2, torch.tensor([9])])
    estimate = conditional_mutual_information(x, x + normal(41, 1, 18), z, std_error=False)
    assert estimate.n == 40
    assert "1 example is alone" in str(estimate.warnings[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "got k = 0 with n = 20"),
        ({"k": 20}, "got k = 20 with n = 20"),
        ({"norm": "l1"}, "got 'l1'"),
        ({"standardize": "rank"}, "got 'rank'"),
        ({"z": torch.zeros(19, 1)}, "got 20 and 19"),
        (
            {"z": torch.full((20, 1), math.nan)},
            "z must be finite, got nan in 20 of 20 examples, first at example 0",
        ),
        ({"y": torch.full((20, 1), math.inf)}, "y must be finite, got inf at example 0"),
        (
            {"x": [0] * 20, "y": [0] * 20},
            "x must be floating",
        ),
        ({"z": torch.arange(20)}, "20 different labels"),
        ({"y": torch.arange(20) // 3}, "a class of 2"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"x": normal(20, 1, 0), "y": normal(20, 1, 1), "z": normal(20, 1, 2)}
    with pytest.raises(ValueError, match=message):
        conditional_mutual_information(**(arguments | change))
