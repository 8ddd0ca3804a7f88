"""The temperature of a classifier: one factor on its logits, fitted to labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._decoder import are_probabilities, log_probabilities

# Entries worked on at once: what fits the cache of a CPU core, and enough to fill a GPU.
_CHUNK = {"cpu": 2**17, "cuda": 2**24}
# Up to this many entries, float64 costs nothing.
_FEW = 2**18
# Beyond this, squares overflow float32.
_LARGEST_SINGLE = 1e15
# Newton's last step is the one that gains fewer nats than this; what it misses is of second order, 1e-7 nats at most.
_GAIN = {torch.float64: 1e-7, torch.float32: 1e-4}
# Positions on which a long search begins.
_SAMPLE = 2048
_MOST_STEPS = 100


@dataclass(frozen=True)
class Logits:
    """Logits of N positions, less the largest of each, read in chunks: no copy of all of them is made.

    Attributes:
        scores: (M, C) logits or probabilities, as given.
        index: (N,) which of the M.
        top: (N,) the largest logit.
        dtype: What is computed in.
        probabilities: Whether the scores are probabilities.
        largest: The largest score on either side of 0; inf if one is nan.
    """

    scores: Float[Tensor, "M C"]
    index: Int[Tensor, " N"]
    top: Float[Tensor, " N"]
    dtype: torch.dtype
    probabilities: bool = False
    largest: float = 0.0

    @classmethod
    def of(cls, scores: Float[Tensor, "M C"], index: Int[Tensor, " N"]) -> Logits:
        """Read the scores once."""
        wide = scores.dtype == torch.float64 or scores.numel() <= _FEW
        dtype = torch.float64 if wide else torch.float32
        tops, sums, low = [], [], math.inf
        for _, rows in _copies(scores, index, dtype):
            tops.append(rows.amax(1))
            sums.append(rows.sum(1))
            low = min(low, float(rows.min()))
        top = torch.cat(tops)
        high = float(top.max())
        largest = max(high, -low) if math.isfinite(high - low) else math.inf
        if largest > _LARGEST_SINGLE:
            dtype, top = torch.float64, top.double()
        probabilities = are_probabilities(low, torch.cat(sums))
        return cls(
            scores, index, log_probabilities(top) if probabilities else top, dtype, probabilities, largest
        )

    def __getitem__(self, places: Tensor) -> Logits:
        return replace(self, index=self.index[places], top=self.top[places])

    def chunks(self) -> Iterator[tuple[slice, Float[Tensor, "rows C"]]]:
        """Slices of the N positions, and a copy of their logits less the largest."""
        for part, rows in _copies(self.scores, self.index, self.dtype):
            yield part, (log_probabilities(rows) if self.probabilities else rows).sub_(self.top[part, None])

    def of_labels(self, labels: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) mean logits less the largest: under each position's label or soft target, and under the class shares."""
        own, mean = [], []
        shares = shares.to(self.top)
        for part, rows in self.chunks():
            target = labels[part]
            soft = target.ndim == 2
            own.append((rows * target).sum(1) if soft else rows.gather(1, target[:, None])[:, 0])
            mean.append((rows * shares[part]).sum(1) if len(shares) > 1 else rows @ shares[0])
        return torch.cat(own), torch.cat(mean)


def _copies(scores: Tensor, index: Tensor, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    step = max(1, _CHUNK.get(scores.device.type, _CHUNK["cpu"]) // scores.shape[1])
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        yield part, scores.index_select(0, index[part]).to(dtype)


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature 1 / factor, and how the loss of each of N positions changes with the factor there."""

    factor: float
    slope: Float[Tensor, " N"]
    curvature: Float[Tensor, " N"]


def fit_temperature(
    logits: Logits,
    own: Float[Tensor, " N"],
    mean: Float[Tensor, " N"],
    weights: Float[Tensor, " N"],
    extra: float,
    sharpen: bool = True,
) -> Temperature:
    """The temperature T > 0 that makes labels most likely (Guo et al., ICML 2017), and one position more.

        min over b = 1/T:  sum_i w_i [ ln sum_c exp(b s_ic) - b s_iy(i) ] + extra sum_i w_i [ .. - b sum_c p_c s_ic ]

    The loss is convex in b. The further position has a label drawn from the class shares p. It keeps b finite where all
    labels are right, and moves nothing where the scores are those shares.

    Args:
        logits: Logits s of N positions.
        own: Those of the labels.
        mean: Their means under the class shares.
        weights: w, of sum 1.
        extra: The further position's part of the weight.
        sharpen: Whether T may be below 1. If not, 1 is taken instead, which is not fitted.
    """
    found = _fit(logits, own + extra * mean, weights, extra)
    if sharpen or found.factor <= 1:
        return found
    return Temperature(1.0, torch.zeros_like(own), torch.zeros_like(own))


def _fit(logits: Logits, target: Tensor, weights: Tensor, extra: float) -> Temperature:
    sample = torch.arange(0, len(target), -(-len(target) // _SAMPLE), device=target.device)
    few = logits[sample]
    spread = torch.cat([-rows.mean(1) for _, rows in few.chunks()])
    if not bool((spread > 0).any()):
        if len(sample) == len(target) or not any(bool((rows < 0).any()) for _, rows in logits.chunks()):
            return Temperature(1.0, torch.zeros_like(target), torch.zeros_like(target))
        spread = torch.cat([-rows.mean(1) for _, rows in logits.chunks()])
    # Scores in other units then take the same steps.
    start = 4 / float(spread[spread > 0].median())
    if len(sample) < len(target):
        share = weights[sample] / weights[sample].sum()
        start = _search(few, target[sample], share, extra, start).factor or start
    return _search(logits, target, weights, extra, start)


def _search(logits: Logits, target: Tensor, weights: Tensor, extra: float, factor: float) -> Temperature:
    """Newton's steps on the slope, inside the bracket that its signs give."""
    weights = weights.double()
    wanted = float(weights @ target.double())
    low, high, zero_known = 0.0, math.inf, False
    slope, curvature = target, target
    for _ in range(_MOST_STEPS):
        slope, curvature = _moments(logits, factor)
        first = (1 + extra) * float(weights @ slope.double()) - wanted
        second = (1 + extra) * float(weights @ curvature.double())
        if factor == 0:
            zero_known = True
            if first >= 0:  # The loss is least at an infinite temperature.
                break
        low, high = (low, factor) if first > 0 else (factor, high)
        if first * first <= 2 * _GAIN[logits.dtype] * second or high - low < 1e-12 * high < math.inf:
            factor = max(factor - first / second, 0.0) if second > 0 else factor
            break
        newton = factor - first / second if second > 0 else -math.copysign(math.inf, first)
        if low < newton < min(high, 10 * factor if factor else math.inf):
            factor = newton
        elif first < 0:
            factor = min(10 * factor, math.sqrt(factor * high)) if factor else high / 10
        elif low == 0:
            factor = high / 10 if zero_known else 0.0
        else:
            factor = math.sqrt(low * high)
    return Temperature(factor, slope - target, curvature)


def _moments(logits: Logits, factor: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of each position's logits under the softmax of factor times them."""
    means, variances = [], []
    for _, rows in logits.chunks():
        share = (rows * factor).exp_()
        total = share.sum(1)
        mean = share.mul_(rows).sum(1) / total
        means.append(mean)
        variances.append((share.mul_(rows).sum(1) / total - mean.square()).clamp_(min=0))
    return torch.cat(means), torch.cat(variances)


def log_partition(logits: Logits, factor: float, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) ln sum_c exp(factor s_c), and (C,) the weighted mean of the softmax."""
    logs, mean = [], torch.zeros(logits.scores.shape[1], dtype=torch.float64, device=weights.device)
    weights = weights.to(logits.dtype)
    for part, rows in logits.chunks():
        share = rows.mul_(factor).exp_()
        total = share.sum(1)
        logs.append(total.log())
        mean += (weights[part] / total) @ share
    return torch.cat(logs), mean
