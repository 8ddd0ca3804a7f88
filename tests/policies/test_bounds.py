"""Bounds refuse what cannot be a range."""

from __future__ import annotations

import math

import pytest

from infopace import Bounds


def test_the_first_learning_rate_is_the_top_or_else_the_maximum() -> None:
    assert Bounds(1e-3, 0.1).first == 0.1
    assert Bounds(1e-3, 0.1, lr_top=0.05).first == 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.3, 0.2), "lr_min must be <= lr_max, got lr_min = 0.3 with lr_max = 0.2"),
        ((0.0, 0.2), "lr_min must be a positive number, got 0.0"),
        ((1e-4, math.nan), "lr_max must be a positive number, got nan"),
        ((1e-4, 0.2, 0.3), "lr_top must be in lr_min..lr_max, got lr_top = 0.3 with 0.0001..0.2"),
        ((1e-4, 0.2, None, -1.0), "epsilon must be a positive number, got -1.0"),
    ],
)
def test_refuses(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Bounds(*arguments)
    assert str(error.value) == message
