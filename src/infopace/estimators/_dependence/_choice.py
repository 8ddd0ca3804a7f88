"""Which model of the dependence fits held-out examples best: independence, a copula, or a mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from infopace._typing import Float
from infopace.estimators._dependence import _mixture
from infopace.estimators._dependence._copula import EllipticalCopula, fit_at, fit_gaussian, fit_student
from infopace.estimators._dependence._held_out import DependenceModel, HeldOut, cross_fit

# Examples a fitted parameter, for mixtures. Below it they overfit and always lose.
_EXAMPLES_A_PARAMETER = 2
# Examples that nu is fitted to.
_FOR_NU = 1_000
# The lightest tails of Student's copula that are tried first.
_LIGHT = 50.0
# From this many columns on, components of one shared shape are tried too. They need few parameters.
_FEWEST_SHARED = 3


@dataclass(frozen=True)
class Choice:
    """The chosen model.

    Attributes:
        model: Fitted to all examples.
        nats: Its information.
        held_out: Its log ratios on examples that it was not fitted to.
        bounds: Held-out bounds of all models that were tried, in nats.
        least: The largest of them that is above 0 by two standard errors; -inf where none is.
    """

    model: DependenceModel
    nats: float
    held_out: HeldOut
    bounds: dict[str, float]
    least: float


def choose(u: Float[Tensor, "n d"], p: int, mixtures: bool = True) -> Choice:
    """The model of uniform scores whose first p columns are x; a richer one must be better by two standard errors.

    1. Gaussian copula. On held-out examples it stands with less dependence, as `EllipticalCopula.shrunk` has it. Each
       canonical pair loses what chance shows, so where x and y are independent it is the independence model. Its
       information has no bias, so the value is about 0 then.
    2. Student copula. It must be better on held-out examples, and also be more likely on all of them. In many columns
       the first alone does not do: every overfitted model gains where large ratios are damped.
    3. With `mixtures`, Gaussian mixtures of 2, 4, 8 .. components, each with its own shape, or 4, 8, .. with one shape.
       A mixture with twice the components is tried while the bound grows.
    """
    gaussian, student = fit_gaussian(u, p), _likely_student(u, p)
    held_out = cross_fit(lambda part, p: fit_gaussian(part, p).shrunk(), u, p)
    chosen: tuple[DependenceModel, float, HeldOut] = (gaussian, gaussian.information(), held_out)
    bounds = {"independence": 0.0, gaussian.name: held_out.bound}
    tried = [held_out]
    if student and _clearly_positive(student.log_likelihood(u) - gaussian.log_likelihood(u)):
        nu = student.nu
        # nu is fitted once, to all examples: one number hardly overfits.
        held_out = cross_fit(lambda part, p: fit_at(part, p, nu)[0].shrunk(), u, p)
        bounds[student.name] = held_out.bound
        tried.append(held_out)
        if _better(held_out, chosen[2]):
            chosen = (student, student.information(), held_out)
    for shared in (False, True) if mixtures else ():
        components, last = 4 if shared else 2, -math.inf
        while u.shape[1] >= _FEWEST_SHARED or not shared:
            size = _mixture.parameters(components, u.shape[1], shared)
            if _EXAMPLES_A_PARAMETER * size > len(u) // 2:
                break
            fit = partial(_mixture.fit_mixture, components=components, shared=shared)
            held_out = cross_fit(fit, u, p)
            bounds[f"mixture {components}{', one shape' if shared else ''}"] = held_out.bound
            tried.append(held_out)
            if _better(held_out, chosen[2]):
                chosen = (fit(u, p), held_out.unbiased, held_out)
            if held_out.bound <= last:
                break
            components, last = 2 * components, held_out.bound
    clear = [each.bound for each in tried if each.bound > 2 * float(each.terms.std()) / math.sqrt(len(u))]
    return Choice(*chosen, bounds, max(clear, default=-math.inf))


def is_copula(model: DependenceModel) -> bool:
    """Whether the model is one that may be the whole truth."""
    return isinstance(model, EllipticalCopula)


def _likely_student(u: Tensor, p: int) -> EllipticalCopula | None:
    """Student copula, with nu from at most 1,999 examples. None where even light tails do worse."""
    few = u[:: max(1, len(u) // _FOR_NU)]
    if fit_at(few, p, _LIGHT)[1] < fit_at(few, p, math.inf)[1]:
        return None
    return fit_at(u, p, fit_student(few, p).nu)[0]


def _better(new: HeldOut, old: HeldOut) -> bool:
    spread = float((new.terms - old.terms).std()) / math.sqrt(len(new.terms))
    return new.bound - old.bound > 2 * spread


def _clearly_positive(terms: Tensor) -> bool:
    return float(terms.mean()) > 2 * float(terms.std()) / math.sqrt(len(terms))
