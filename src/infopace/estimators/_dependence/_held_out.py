"""How good a model of the density ratio is: its Donsker-Varadhan bound on held-out examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class DependenceModel(Protocol):
    """A model of the joint density of scores (u_x, u_y).

    `log_ratio` is the log of the joint density over the product of the marginals, for each example. `information` is in
    nats. `resolved` says whether ranks can show the dependence, `rank_bias` what they hide of it,
    `chance` what the fit adds to the standard error of the information.
    """

    @property
    def name(self) -> str: ...
    def information(self) -> float: ...
    def log_ratio(self, u_x: Tensor, u_y: Tensor) -> Tensor: ...
    def sample(self, n: int, generator: torch.Generator) -> Tensor: ...
    def resolved(self) -> bool: ...
    def rank_bias(self) -> float: ...
    def chance(self) -> float: ...


@dataclass(frozen=True)
class HeldOut:
    """How a model does on examples it was not fitted to.

    bound = < f > - max(log < exp f >_unpaired, 0) <= I(X;Y) in expectation (Donsker-Varadhan). For a normalised model
    the second term is near 0. If it is clearly positive, the marginals of the model are wrong.

    Attributes:
        terms: (n,) held-out log ratios f of the examples.
        fitted: Mean log ratio of the examples that were fitted.
        unpaired: log < exp f > over pairs of an x with the y of another example.
    """

    terms: Tensor
    fitted: float
    unpaired: float

    @property
    def bound(self) -> float:
        return float(self.terms.mean()) - max(self.unpaired, 0.0)

    @property
    def unbiased(self) -> float:
        """Mean of fitted and held-out log ratio: fitting raises the one by about what it lowers the other (Akaike)."""
        return (self.fitted + float(self.terms.mean())) / 2


def cross_fit(
    fit: Callable[[Tensor, int], DependenceModel], u: Tensor, p: int, folds: int = 2, shifts: int = 8
) -> HeldOut:
    """Fit on all folds but one and evaluate on that one, for each fold. The random folds have a fixed seed."""
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
