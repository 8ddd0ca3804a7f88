"""Label against label with few examples a cell: what independence shows, what has not occurred, the interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from infopace import mutual_information
from infopace.estimators._plug_in import plug_in
from infopace.estimators._sparse_table import (
    adjusted_information,
    chao_entropy,
    expected_information,
    raw_information,
)

from .samples import Examples


def channel(n: int, classes: int, noise: float, seed: int) -> tuple[Examples, Examples, float]:
    """y equals x, or is drawn anew with the probability `noise`; and the information, nats."""
    generator = np.random.default_rng(seed)
    x, drawn = generator.integers(0, classes, (2, n))
    y = np.where(generator.random(n) < noise, drawn, x)
    same, other = 1 - noise + noise / classes, noise / classes
    parts = [(1, same), (classes - 1, other)]
    return x, y, math.log(classes) + sum(m * p * math.log(p) for m, p in parts if p > 0)


def unrelated(name: str) -> tuple[Examples, Examples]:
    generator = np.random.default_rng(0)
    return {
        "ids": lambda: (np.arange(300), generator.permutation(300)),
        "incomes and zip codes": lambda: tuple(generator.integers(10_000, 99_999, (2, 300))),
        "50 x 50 classes": lambda: tuple(generator.integers(0, 50, (2, 300))),
        "ids and 3 classes": lambda: (np.arange(300), generator.integers(0, 3, 300)),
        "ids and a constant": lambda: (np.arange(300), np.zeros(300, dtype=int)),
    }[name]()


def test_the_expected_value_is_the_mean_over_all_orders() -> None:
    x, y = torch.tensor([0, 0, 0, 1, 1, 2, 3]), torch.tensor([0, 0, 1, 1, 1, 1, 2])
    orders = [raw_information(x, y[list(order)]) for order in itertools.permutations(range(7))]
    expected = expected_information(torch.tensor([3, 2, 1, 1]), torch.tensor([2, 4, 1]))
    assert expected == pytest.approx(math.fsum(orders) / len(orders), abs=1e-12)


@pytest.mark.parametrize(("a", "b", "n"), [(150, 150, 300), (90, 400, 500), (300, 4000, 20_000)])
def test_large_cells_take_the_series(a: int, b: int, n: int) -> None:
    def ways(m: int, k: int) -> float:
        return math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1)

    total = 0.0
    for p, q in itertools.product((a, n - a), (b, n - b)):
        for k in range(max(1, p + q - n), min(p, q) + 1):
            chance = math.exp(ways(p, k) + ways(n - p, q - k) - ways(n, q))
            total += chance * k / n * math.log(n * k / (p * q))
    found = expected_information(torch.tensor([a, n - a]), torch.tensor([b, n - b]))
    assert found == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize("sizes", [[1, 1], [3, 4], [2, 2, 1], [1, 1, 2, 5, 7] * 10, [1] * 50, [50, 3, 1, 1]])
def test_unseen_labels_term_by_term(sizes: list[int]) -> None:
    n, once, twice = sum(sizes), sizes.count(1), sizes.count(2)
    total = sum(c / n * sum(1 / j for j in range(c, n)) for c in sizes)
    if once:
        a = 2 * twice / ((n - 1) * once + 2 * twice) if twice else 2 / ((n - 1) * (once - 1) + 2)
        rest = -math.log(a) - sum((1 - a) ** r / r for r in range(1, n))
        total += once / n * (1 - a) ** (1 - n) * rest
    assert chao_entropy(torch.tensor(sizes)) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(
    "name", ["ids", "incomes and zip codes", "50 x 50 classes", "ids and 3 classes", "ids and a constant"]
)
def test_unrelated_columns_show_nothing(name: str) -> None:
    """Miller-Madow measures 6.20 +- 0.000 between ids and shuffled ids, above their entropy, 5.70."""
    x, y = unrelated(name)
    found = mutual_information(x, y, permutations=49)
    assert found.method == "adjusted"
    assert "sparse-table" in [caution.kind for caution in found.warnings]
    assert abs(found.nats) < 0.15
    assert found.interval[0] <= 0 <= found.interval[1]
    assert found.nats <= found.ceiling
    assert found.p_value > 0.05


@pytest.mark.parametrize(
    ("n", "classes", "noise"),
    [(300, 50, 0.0), (300, 200, 0.0), (300, 20, 0.3), (1000, 50, 0.7), (300, 200, 0.3), (300, 200, 1.0)],
)
def test_known_channels(n: int, classes: int, noise: float) -> None:
    values, plain, inside, truth = [], [], 0, 0.0
    for seed in range(4):
        x, y, truth = channel(n, classes, noise, seed)
        found = mutual_information(x, y)
        values.append(found.nats)
        plain.append(plug_in(torch.from_numpy(x), torch.from_numpy(y)))
        inside += found.interval[0] <= truth <= found.interval[1]
        assert found.nats <= found.ceiling + 1e-12
        sparse = "sparse-table" in [caution.kind for caution in found.warnings]
        assert sparse == (found.method == "adjusted")
    assert inside >= 3
    off = np.abs(np.array(values) - truth).mean()
    assert off < 0.1 or off < np.abs(np.array(plain) - truth).mean() / 2


def test_a_dense_table_keeps_its_counts() -> None:
    x, y, _ = channel(1000, 5, 0.5, 0)
    found = mutual_information(x, y)
    assert (found.method, found.bias, found.warnings) == ("plug-in", 0.0, ())
    assert found.nats == plug_in(torch.from_numpy(x), torch.from_numpy(y))
    copy = mutual_information(x, x)
    assert copy.nats == pytest.approx(copy.ceiling, abs=1e-12)


def test_plug_in_by_name_shows_its_bias() -> None:
    x, y = unrelated("50 x 50 classes")
    found = mutual_information(x, y, estimator="plug-in")
    assert found.nats == plug_in(torch.from_numpy(x), torch.from_numpy(y))
    assert found.bias > 1.5
    assert found.interval[0] < 0 < found.nats
    assert [caution.kind for caution in found.warnings] == ["sparse-table", "inside-noise"]


def test_the_advice_helps() -> None:
    x, y = unrelated("incomes and zip codes")
    (caution,) = mutual_information(x, y).warnings
    assert caution.sentence.endswith("take more examples, merge labels, or give quantities as floats")
    assert abs(mutual_information(x.astype(float), y.astype(float)).nats) < 0.05
    assert abs(mutual_information(x // 30_000, y // 30_000).nats) < 0.05


def test_order_and_names_of_labels_do_not_matter() -> None:
    x, y, _ = channel(200, 30, 0.5, 3)
    order = np.random.default_rng(1).permutation(200)
    value = adjusted_information(torch.from_numpy(x), torch.from_numpy(y), False).nats
    again = mutual_information(-7 * x[order] + 2**40, y[order], std_error=False)
    assert math.isnan(again.std_error)
    # The spread under permutation is that of 20 of them, and has a small part in the weight.
    assert again.nats == pytest.approx(value, abs=0.05)
