"""Neighbour formulas are means of one term a row: from the terms to the value, and to each row's share of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Float


def value(terms: Float[Tensor, " n"]) -> float:
    """psi(n) + < terms > in nats; nan where there are fewer than two rows."""
    return math.nan if len(terms) < 2 else float(_psi_n(terms) + terms.mean().cpu())


def pointwise(terms: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What each row contributes: psi(n) + its term, whose mean is the value."""
    return _psi_n(terms).to(terms.device) + terms


def _psi_n(terms: Tensor) -> Tensor:
    return torch.digamma(torch.tensor(float(len(terms)), dtype=torch.float64))
