"""Shared by the tests of baselines: a model with batch norm, and rates that train the tiny workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from infopace.lab.baselines import Setting
from infopace.lab.optimizers import AdamWRecipe, SGDRecipe

# Rates for the three clouds, and epochs where a baseline has to find its scale first.
RATES = {
    "cosine": 0.05,
    "linear": 0.05,
    "sgd-constant": 0.05,
    "sgd-step": 0.05,
    "sgd-cosine": 0.05,
    "sgd-linear": 0.05,
    "sgd-one-cycle": 0.1,
    "sgd-cyclic": 0.1,
    "sgd-plateau": 0.05,
    "adam": 0.02,
    "adamw-cosine": 0.02,
    "rmsprop": 0.01,
    "lars": 3.0,
    "schedule-free-sgd": 1.0,
    "schedule-free-adamw": 0.05,
    "prodigy": 1.0,
    "d-adaptation": 1.0,
    "dog": 1.0,
    "l4": 0.15,
    "yamadam": 1.0,
    "schedule-free-adamw-algoperf": 0.05,
    "sgd-warmup-cosine": 0.05,
    "adamw-warmup-cosine": 0.02,
    "nadamw-cosine": 0.02,
    "wsd": 0.02,
    "adamw-linear": 0.02,
    "ademamix": 0.02,
    "muon": 0.02,
    "greedylr": 0.02,
    "greedylr-repaired": 0.02,
    "abel": 0.05,
    "sasa-plus": 0.5,
    "sasa-plus-repaired": 0.5,
    "salsa": 0.01,
    "salsa-repaired": 0.01,
    "refined-linear": 0.05,
}


@pytest.fixture
def rates() -> dict[str, float]:
    """A rate for each baseline."""
    return RATES


def _normed_model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


@pytest.fixture
def normed(tiny: Any) -> Any:
    """The tiny workload with batch norm; its batches are of one size, so means of batches are means of all."""
    tiny.change(build_model=_normed_model, batch_size=20)
    return tiny


@pytest.fixture(scope="session")
def setting() -> Callable[..., Setting]:
    """A setting of ten epochs with eight batches, the fields of one's choice apart."""

    def build(**fields: Any) -> Setting:
        given: dict[str, Any] = {
            "model": nn.Linear(3, 2),
            "epochs": 10,
            "batches": 8,
            "lr": 0.1,
            "optimizer": AdamWRecipe(),
            "sgd": SGDRecipe(),
            "settle_norms": lambda: None,
        }
        return Setting(**(given | fields))

    return build
