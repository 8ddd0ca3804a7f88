"""Bounds refuse what cannot be a range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch

from infopace import Bounds, HoldAndDecay, Vasudevan2020
from infopace.policies import Wang2024


def test_the_first_learning_rate_is_the_top_or_else_the_maximum() -> None:
    assert Bounds(1e-3, 0.1).lr_top == 0.1
    assert Bounds(1e-3, 0.1, lr_top=0.05).lr_top == 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.3, 0.2), "lr_min must be <= lr_max, got lr_min = 0.3 with lr_max = 0.2"),
        ((0.0, 0.2), "lr_min must be a positive number, got 0.0"),
        ((1e-4, math.nan), "lr_max must be a positive number, got nan"),
        ((1e-4, 0.2, 0.3), "lr_top must be in lr_min..lr_max, got lr_top = 0.3 with 0.0001..0.2"),
        ((1e-4, 0.2, None, -1.0), "epsilon must be a positive number, got -1.0"),
        (("1e-4", 0.2), "lr_min must be a positive number, got '1e-4'"),  # what YAML makes of 1e-4
        ((None, 0.2), "lr_min must be a positive number, got None"),
        ((1e-4, [0.2]), "lr_max must be a positive number, got [0.2]"),
        ((1e-4, True), "lr_max must be a positive number, got True"),
    ],
)
def test_refuses(monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...], message: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse some of them first
    with pytest.raises(ValueError) as error:
        Bounds(*arguments)
    assert str(error.value) == message


def test_numbers_of_any_kind_are_kept_as_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    low, top, high = np.float64(1e-3), torch.tensor(0.0625), np.float32(0.5)
    bounds = Bounds(low, high, top, 1)  # pyright: ignore[reportArgumentType]
    assert bounds == Bounds(1e-3, 0.5, 0.0625, 1.0)
    assert {type(value) for value in vars(bounds).values()} == {float}
    assert type(HoldAndDecay(np.int64(3)).epochs) is int  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("epochs", ["10", math.nan, 2.5, True])
@pytest.mark.parametrize("policy", [HoldAndDecay, Vasudevan2020, Wang2024])
def test_a_number_of_epochs_is_a_whole_number(
    monkeypatch: pytest.MonkeyPatch, policy: Callable[..., object], epochs: Any
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    name = "cycle" if policy is Wang2024 else "epochs"
    shown = repr(epochs)
    with pytest.raises(ValueError) as error:
        policy(epochs)
    assert str(error.value) == f"{name} must be a whole number, got {shown}"
