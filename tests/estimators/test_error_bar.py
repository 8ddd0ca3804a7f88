"""The error bar against what it stands for: the spread of the value over independent samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from infopace.estimators._error_bar import subsampling_error_bar
from infopace.estimators._student import two_sided_quantile

from .samples import Examples, bivariate, clusters, labels, neighbour_information, normal


def layer(seed: int) -> tuple[Examples, Examples]:
    """Six columns, four classes that overlap."""
    y = labels(160, 4, seed)
    return normal(4, 6, 99)[y] + normal(160, 6, seed + 1000), y


CASES: dict[str, Callable[[int], tuple[Examples, Examples]]] = {
    "two overlapping classes": lambda seed: clusters(160, seed),
    "bivariate normal": lambda seed: bivariate(160, 0.7, seed)[:2],
    "four classes in six columns": layer,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_error_bar_is_the_spread_over_independent_samples(case: str) -> None:
    values = [neighbour_information(*CASES[case](seed), std_error=False).nats for seed in range(200)]
    claimed = [neighbour_information(*CASES[case](seed)).std_error for seed in range(20)]
    # The spread of 200 values is known within 5 %, the root mean square of 20 claims within about 6 %.
    ratio = math.sqrt(np.mean(np.square(claimed))) / np.std(values, ddof=1)
    assert 0.6 < ratio < 1.6


def test_error_bar_of_a_mean_is_that_of_the_textbook() -> None:
    x = torch.as_tensor(normal(2000, 1)[:, 0])
    claimed = subsampling_error_bar(lambda part: float(x[part].mean()), float(x.mean()), 2000, 3)
    # 9 degrees of freedom: a spread of 24 %.
    assert claimed.std_error == pytest.approx(float(x.std()) / math.sqrt(2000), rel=0.5)


def test_degrees_of_freedom_of_a_mean() -> None:
    """The variance estimate of a mean scatters as that many degrees of freedom say."""
    x = torch.randn(400, 240, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    bars = [subsampling_error_bar(lambda part, r=row: float(r[part].mean()), 0.0, 240, 3) for row in x]
    variances = np.square([bar.std_error for bar in bars])
    (freedom,) = {bar.freedom for bar in bars}
    assert freedom == 9
    # Of 400 values the relative variance is known within about 8 %.
    assert variances.var(ddof=1) / variances.mean() ** 2 == pytest.approx(2 / freedom, rel=0.3)


def test_two_parts_have_one_degree_of_freedom() -> None:
    bar = subsampling_error_bar(lambda part: float(part.double().mean()), 16.0, 32, 3)
    assert bar.freedom == 1
    assert two_sided_quantile(bar.freedom) == pytest.approx(12.706, abs=1e-3)


def test_parts_are_disjoint_and_keep_the_classes_in_proportion() -> None:
    classes, parts = torch.as_tensor(np.repeat([0, 1], [200, 40])), []

    def record(part: torch.Tensor) -> float:
        parts.append(part)
        return float(len(parts))

    subsampling_error_bar(record, 0.0, 240, 3, classes)
    assert len(parts) == 10
    assert sorted(torch.cat(parts).tolist()) == list(range(240))
    shares = [int((classes[part] == 1).sum()) for part in parts]
    assert max(shares) - min(shares) <= 1


def test_small_classes_are_split_into_fewer_parts() -> None:
    calls = []

    def estimate(part: torch.Tensor) -> float:
        calls.append(len(part))
        return math.nan if len(part) < 40 else float(part.double().mean())

    assert subsampling_error_bar(estimate, 100.0, 200, 3).freedom == 4
    assert calls == [20] * 10 + [40] * 5


def test_too_few_examples_have_no_error_bar() -> None:
    assert math.isnan(neighbour_information(normal(31, 2), normal(31, 1)).std_error)
    assert math.isfinite(neighbour_information(normal(32, 2), normal(32, 1)).std_error)
    assert math.isnan(neighbour_information(normal(100, 2), labels(100, 2), std_error=False).std_error)
