"""The bias that parts of the sample show, on made-up estimates of a known law and on a case with a known answer."""

from __future__ import annotations

import math
from dataclasses import astuple

import pytest
import torch

from infopace import mutual_information
from infopace.estimators._error_bar import ErrorBar, subsampling_error_bar


def test_a_bias_of_the_stated_law_is_found_exactly() -> None:
    bar = subsampling_error_bar(lambda part: 1.5 - 0.02 * math.sqrt(1000 / len(part)), 1.48, 1000, 3)
    # Parts of 1000 examples differ in size by at most one.
    assert bar.bias == pytest.approx(-0.02, rel=2e-3)
    assert bar.std_error < 1e-3


def test_an_estimate_without_bias_shows_none() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bar = subsampling_error_bar(lambda part: float(values[part].mean()), float(values.mean()), 1000, 3)
    assert abs(bar.bias) < 0.01 * bar.std_error
    assert bar.std_error == pytest.approx(1 / math.sqrt(1000), rel=0.35)


def test_the_noise_of_the_whole_alone_is_no_bias_of_its_size() -> None:
    bar = subsampling_error_bar(lambda part: 1.0, 1.1, 1000, 3)
    assert -0.05 < bar.bias < 0


def test_parts_are_measured_once() -> None:
    calls: list[int] = []

    def estimate(part: torch.Tensor) -> float:
        calls.append(len(part))
        return float(len(calls))

    subsampling_error_bar(estimate, 0.0, 1000, 3)
    assert calls == [100] * 10


@pytest.mark.parametrize(
    ("value", "whole", "n"),
    [(1.0, 1.0, 31), (math.nan, 1.0, 400), (1.0, math.inf, 400), (1.0, math.nan, 400)],
)
def test_without_numbers_there_is_no_error_bar(value: float, whole: float, n: int) -> None:
    bar = subsampling_error_bar(lambda part: value, whole, n, 3)
    assert all(map(math.isnan, astuple(bar)))
    assert all(map(math.isnan, astuple(ErrorBar())))


def test_a_split_with_a_part_without_value_is_left_out() -> None:
    def estimate(part: torch.Tensor) -> float:
        return math.nan if len(part) < 200 else float(part.double().mean())

    # Ten parts of 1000 examples have no value, five have.
    assert subsampling_error_bar(estimate, 500.0, 1000, 3).freedom == 4


def test_the_shortfall_in_five_dimensions_is_seen() -> None:
    # True value 0.3367 nats; KSG-1 at n = 1000 falls short by 0.03 on average.
    shown = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(1000, 5, generator=generator, dtype=torch.float64)
        y = 0.7 * x.mean(1) * math.sqrt(5) + math.sqrt(0.51) * torch.randn(1000, generator=generator)
        shown.append(mutual_information(x, y, estimator="ksg1").bias)
    assert -0.06 < sum(shown) / 4 < -0.01
