"""How good is a model of the density ratio? Its Donsker-Varadhan bound on rows it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class DependenceModel(Protocol):
    """A model of the joint density of scores (u_x, u_y): its log ratio to the product, samples, information."""

    @property
    def name(self) -> str: ...
    def information(self) -> float: ...
    def log_ratio(self, u_x: Tensor, u_y: Tensor) -> Tensor: ...
    def sample(self, n: int, generator: torch.Generator) -> Tensor: ...
    def resolved(self) -> bool: ...
    def rank_bias(self) -> float: ...


@dataclass(frozen=True)
class HeldOut:
    """Cross-fitted log ratios f of the n rows, their mean on fitted rows, and log < exp f > on unpaired rows.

    bound = < f > - max(log < exp f >_unpaired, 0) <= I(X;Y) in expectation (Donsker-Varadhan). A normalised
    model has a log mean near 0; a clearly positive one shows that its marginals are wrong.
    """

    terms: Tensor
    fitted: float
    unpaired: float

    @property
    def bound(self) -> float:
        return float(self.terms.mean()) - max(self.unpaired, 0.0)

    @property
    def unbiased(self) -> float:
        """Fitting raises the mean on fitted rows by about what it costs on new ones (Akaike)."""
        return (self.fitted + float(self.terms.mean())) / 2


def cross_fit(
    fit: Callable[[Tensor, int], DependenceModel], u: Tensor, p: int, folds: int = 2, shifts: int = 8
) -> HeldOut:
    """Fit on all folds but one and evaluate on that one, for each fold. Random folds, with a fixed seed."""
    n = len(u)
    fold = torch.randperm(n, generator=torch.Generator().manual_seed(0)) % folds
    terms = torch.empty(n, dtype=torch.float64)
    fitted, unpaired = [], []
    for k in range(folds):
        test, train = u[fold == k], u[fold != k]
        model = fit(train, p)
        terms[fold == k] = model.log_ratio(test[:, :p], test[:, p:])
        fitted.append(float(model.log_ratio(train[:, :p], train[:, p:]).mean()))
        shuffled = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(1))]
        for shift in range(1, min(shifts, len(test) - 1) + 1):
            step = shift * len(test) // (shifts + 1) or shift
            unpaired.append(model.log_ratio(shuffled[:, :p], shuffled.roll(step, 0)[:, p:]))
    off = torch.cat(unpaired)
    return HeldOut(terms, sum(fitted) / folds, float(off.logsumexp(0)) - math.log(len(off)))
