"""The bias that parts of the sample show, on made-up estimates of a known law and on a case with a known answer."""

from __future__ import annotations

import math

import pytest
import torch

from infopace import mutual_information
from infopace.estimators._error_bar import subsampling_errors, subsampling_std_error


def test_a_bias_of_the_stated_law_is_found_exactly() -> None:
    std_error, bias = subsampling_errors(lambda part: 1.5 - 0.02 * math.sqrt(1000 / len(part)), 1000, 3)
    # Parts of 1000 rows differ in size by at most one row.
    assert bias == pytest.approx(-0.02, rel=2e-3)
    assert std_error < 1e-3


def test_an_estimate_without_bias_shows_none() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    std_error, bias = subsampling_errors(lambda part: float(values[part].mean()), 1000, 3)
    assert abs(bias) < 0.01 * std_error
    assert std_error == pytest.approx(1 / math.sqrt(1000), rel=0.3)


def test_the_standard_error_is_the_one_without_bias() -> None:
    values = torch.rand(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def estimate(part: torch.Tensor) -> float:
        return float(values[part].median())

    classes = torch.arange(400) % 3
    assert subsampling_errors(estimate, 400, 3, classes)[0] == subsampling_std_error(
        estimate, 400, 3, classes
    )


def test_too_few_rows_give_nan() -> None:
    assert all(map(math.isnan, subsampling_errors(lambda part: 1.0, 20, 3)))


def test_the_shortfall_in_five_dimensions_is_seen() -> None:
    # True value 0.3367 nats; KSG-1 at n = 1000 falls short by 0.032 on average.
    shown = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(1000, 5, generator=generator, dtype=torch.float64)
        y = 0.7 * x.mean(1) * math.sqrt(5) + math.sqrt(0.51) * torch.randn(1000, generator=generator)
        shown.append(
            subsampling_errors(
                lambda p, x=x, y=y: mutual_information(x[p], y[p], estimator="ksg1", std_error=False).nats,
                1000,
                3,
            )[1]
        )
    assert -0.06 < sum(shown) / 4 < -0.01
