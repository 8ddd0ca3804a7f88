"""Usable information of distributions over classes: class labels, tokens, pixels, several labels, soft labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Float
from infopace.estimators._error_bar import stratified_parts
from infopace.estimators._inputs import LARGEST
from infopace.estimators._temperature import Logits, fit_temperature, log_partition
from infopace.estimators._usable_kinds import Classified
from infopace.estimators._usable_parts import Examples, Found, check_counted

# A table of this many entries is faster than sorting.
_TABLE = 2**20


def of_classes(case: Classified, sharpen: bool = True) -> Found:
    """What each example contributes, with one temperature fitted on the other half, at least 1 unless `sharpen`."""
    device = case.scores.device
    examples = Examples.of(case.counted, case.product, device)
    logits = Logits.of(case.scores, examples.place)
    if logits.largest > LARGEST:
        check_counted(case.scores, examples, "scores")
    labels = case.labels.to(device)[examples.place]
    p = _frequencies(labels, case.scores.shape[1], examples)
    shares = p.shares.to(device)
    if case.product:
        shares = shares[examples.column]
    own, mean = logits.of_labels(labels, shares)
    half = stratified_parts(_strata(labels) if case.single else examples.example.new_zeros(examples.n), 2)
    rows = [(half[examples.example] == part).nonzero()[:, 0] for part in (0, 1)]
    fits = [
        fit_temperature(
            logits[of], own[of], mean[of], examples.weight[of] / examples.weight[of].sum(), 1 / units, sharpen
        )
        for of, units in zip(rows, examples.units(half), strict=True)
    ]
    log_q = torch.empty_like(examples.weight)
    slope, curvature = torch.empty_like(log_q), torch.empty_like(log_q)
    marginal = torch.zeros(case.scores.shape[1], dtype=torch.float64, device=device)
    for of, fitted, other in zip(rows, fits, fits[::-1], strict=True):
        total, average = log_partition(logits[of], other.factor, examples.weight[of] / examples.n)
        log_q[of] = (other.factor * own[of] - total).double()
        slope[of], curvature[of] = fitted.slope.double(), fitted.curvature.double()
        marginal += average
    if case.product:
        marginal = _label_rates(log_q, labels, examples)
    log_p = _log(p.shares).to(device)
    if labels.ndim == 2:
        reference = labels @ log_p[0]
        known = (labels * _log(labels)).sum(1)
    else:
        reference = log_p[examples.column if case.product else 0, labels]
        known = torch.zeros_like(reference)
    allowance = p.allowance(marginal.cpu(), examples)
    squares, bends = examples.total(slope).square(), examples.total(curvature)
    cost = [
        float(squares[half == part].mean() / bends[half == part].mean())
        if bool(bends[half == part].any())
        else 0.0
        for part in (0, 1)
    ]
    temperatures = " and ".join(f"{1 / fit.factor:.3g}" if fit.factor else "inf" for fit in fits)
    return Found(
        examples.gain(log_q - reference, half) + allowance,
        sum(cost) / 2 / examples.n,
        max(p.scatter / (2 * examples.n) - allowance, 0.0),
        float(examples.total(known - reference).mean()),
        f"temperature {temperatures} on the halves",
        examples.cautions(),
    )


def _strata(labels: Tensor) -> Tensor:
    """The first example of each example's class: a number for the class that does not depend on its name."""
    classes = torch.unique(labels, return_inverse=True)[1]
    places = torch.arange(len(labels), device=labels.device)
    return places.scatter_reduce(0, classes, places, "amin", include_self=False)[classes]


@dataclass(frozen=True)
class _Frequencies:
    """Class frequencies, and how far they scatter.

    Attributes:
        shares: (1, C), or (P, 2) for labels of their own.
        known: (1 or P,) examples behind each line.
        scatter: 2 n KL(shares || truth) on average, if examples were drawn at random. It is C - 1 for one label an
            example and classes that all occur.
    """

    shares: Float[Tensor, "G C"]
    known: Float[Tensor, " G"]
    scatter: float

    def allowance(self, marginal: Tensor, examples: Examples) -> float:
        """KL(shares || marginal), as far as sampling explains it: two standard deviations beyond the mean."""
        divergence = (self.shares * (_log(self.shares) - marginal.log())).nan_to_num(nan=0.0).sum(1)
        found = float((divergence * self.known).sum()) / examples.n
        return max(0.0, min(found, (self.scatter + 2 * math.sqrt(2 * self.scatter)) / (2 * examples.n)))


def _frequencies(labels: Tensor, classes: int, examples: Examples) -> _Frequencies:
    labels, n = labels.cpu(), examples.n
    example, weight = examples.example.cpu(), examples.weight.cpu()
    if examples.product:
        cells = examples.column.cpu() * 2 + labels
        counts = torch.bincount(cells, minlength=2 * examples.width).reshape(-1, 2).double()
        both = int((counts > 0).all(1).sum())
        if not both:
            raise ValueError(f"targets must have a label that varies, got only constant ones in {n} examples")
        known = counts.sum(1)
        return _Frequencies(counts / known.clamp(min=1)[:, None], known, float(both))
    if labels.ndim == 2:
        own = torch.zeros(n, classes, dtype=torch.float64).index_add_(0, example, labels * weight[:, None])
        sums, squares = own.sum(0), own.square().sum(0)
    else:
        sums = torch.bincount(labels, weights=weight, minlength=classes)
        squares = sums if len(labels) == n else _squares(labels, weight, example, n, classes)
    shares = sums / n
    if int((shares > 0).sum()) < 2:
        raise ValueError(
            f"targets must have at least 2 classes, got only class {int(sums.argmax())} in {n} examples"
        )
    variance = (squares / n - shares.square()).clamp(min=0) * n / (n - 1)
    scatter = float((variance / shares)[shares > 0].sum())
    if bool((shares == 0).any()):
        # Classes that did not occur have about the mass of those that occurred in one example (Good 1953).
        scatter += 2 * float(sums[sums.square() <= squares * (1 + 1e-9)].sum())
    return _Frequencies(shares[None], torch.tensor([float(n)], dtype=torch.float64), scatter)


def _squares(labels: Tensor, weight: Tensor, example: Tensor, n: int, classes: int) -> Tensor:
    """Sum over examples of the squared share of each class in the example."""
    cells = example * classes + labels
    if n * classes <= max(_TABLE, 4 * len(labels)):
        own = torch.bincount(cells, weights=weight, minlength=n * classes)
        return own.reshape(n, classes).square().sum(0)
    distinct, place = torch.unique(cells, return_inverse=True)
    own = torch.bincount(place, weights=weight)
    return torch.bincount(distinct % classes, weights=own.square(), minlength=classes)


def _label_rates(log_q: Tensor, labels: Tensor, examples: Examples) -> Tensor:
    """(P, 2) mean probability that the decoder gives 0 and 1 of each label."""
    column = examples.column.cpu()
    own = log_q.exp().cpu()
    one = torch.where(labels.cpu() == 1, own, 1 - own)
    rate = torch.bincount(column, weights=one, minlength=examples.width)
    rate /= torch.bincount(column, minlength=examples.width).clamp(min=1)
    return torch.stack([1 - rate, rate], 1)


def _log(shares: Tensor) -> Tensor:
    """Logarithms of shares; 0 for a share of 0, which is never used."""
    return torch.where(shares > 0, shares, 1.0).log()
