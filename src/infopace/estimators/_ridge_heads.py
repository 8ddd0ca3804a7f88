"""Predictions of examples that were left out -> what each example gains over the class frequencies, or the mean.

Ridge strength and temperature of an example are those that are best for the other examples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._ridge_fit import Coordinates

# The least variance of the residuals, as a share of that of the targets: predictions as good as float32.
FLOOR = 1e-12
# Newton's last step is the one that gains fewer nats than this an example.
_GAIN = 1e-10
_MOST_STEPS = 60


def of_shares(
    fit: Coordinates, labels: Float[Tensor, "N G C"], example: Int[Tensor, " N"], product: bool
) -> Float[Tensor, " E"]:
    """What each example gains, in nats.

        q(c) ~ p_c exp((f_c - p'_c) / T)

    f is the prediction of a ridge regression of the labels, as numbers 0 and 1, without the example, p' the class
    frequencies without it, and p those of all. At T = inf q is p.

    Args:
        fit: The rows.
        labels: Shares of C classes, in each of G sets of classes; for one label of C classes a 1 and zeros.
        example: Whose each row is, in ascending order.
        product: Whether the sets are labels of their own, which are summed. Else rows are averaged.
    """
    sets, classes = labels.shape[1:]
    shares = labels.mean(0)
    flat = labels.flatten(1)
    weight = _weights(example, product)
    losses = [torch.zeros(len(weight[1]), dtype=torch.float64, device=labels.device)]
    factor = 1.0
    for predicted, _ in fit.left_out(flat):
        rise = predicted.reshape(-1, sets, classes)
        factor, loss = _cooled(rise, labels, shares, weight, product, factor or 1.0)
        losses.append(loss)
    return -_of_best_for_others(torch.stack(losses))


def of_quantities(
    fit: Coordinates, targets: Float[Tensor, "N G"], example: Int[Tensor, " N"], product: bool
) -> tuple[Float[Tensor, " E"], int]:
    """What each example gains, in nats, and in how many columns predictions are exact.

        q = N(f, s2),    p = N(m, v)

    f is the prediction without the example and s2 the mean square of the others' residuals. m and v are the mean of the
    others and the mean square of their deviations from it.
    """
    scale = targets.std(0, correction=0)
    unit = (targets - targets.mean(0)) / torch.where(scale > 0, scale, 1.0)
    _, number = torch.unique_consecutive(example, return_inverse=True)
    examples = int(number[-1]) + 1
    losses: list[Tensor] = []
    exact = 0
    for predicted, others in fit.left_out(unit):
        if not losses:
            losses.append(_squares(others, number, examples) * 0)
        own, wide = (_of_others(part, number, examples) for part in (others - predicted, others))
        exact = max(exact, int((own < FLOOR * wide).all(0).sum()))
        own = own.maximum(FLOOR * wide)
        gain = (wide / own).log() - (others - predicted).square() / own + others.square() / wide
        losses.append(-_sums(gain / 2, number, examples))
    best = _of_best_for_others(torch.stack(losses))
    total = -best.sum(1)
    if not product:
        total = total / (torch.bincount(number, minlength=examples) * targets.shape[1])
    return _bounded(total, examples - 1), exact


def _weights(example: Tensor, product: bool) -> tuple[Tensor, Tensor]:
    """(N,) the example 0..E-1 of each row, and (E,) the rows of each as numbers."""
    _, number, sizes = torch.unique_consecutive(example, return_inverse=True, return_counts=True)
    return number, sizes.double()


def _cooled(
    rise: Float[Tensor, "N G C"],
    labels: Float[Tensor, "N G C"],
    shares: Float[Tensor, "G C"],
    weight: tuple[Tensor, Tensor],
    product: bool,
    start: float,
) -> tuple[float, Float[Tensor, " E"]]:
    """The factor b = 1/T that is best for all examples, and the loss of each at the one that is best for the others.

        loss = ln sum_c p_c exp(b d_c) - b sum_c y_c d_c,    b >= 0,    d = f - p'

    It is convex in b. One example more, whose labels are drawn from p, keeps b finite. Without an example the best b
    is one step of Newton away from that with it, up to terms of third order.
    """
    number, sizes = weight
    examples = len(sizes)
    own = (labels * rise).sum(2)
    middle = (shares * rise).sum(2)
    log_shares = shares.log()
    factor, low, high = start, 0.0, float("inf")
    slope = curve = rest = torch.zeros(examples, dtype=torch.float64, device=rise.device)
    first = second = 0.0
    for _ in range(_MOST_STEPS):
        _, mean, bend = _moments(rise, log_shares, factor)
        slope, curve = _means(mean - own, weight), _means(bend, weight).clamp(min=0)
        rest = _means(mean - middle, weight)
        first = float(slope.sum() + rest.mean())
        second = float(curve.sum() + curve.mean())
        if second <= 0 or (factor == 0 and first >= 0):
            break
        if first * first <= 2 * _GAIN * examples * second:
            break
        low, high = (low, factor) if first > 0 else (factor, high)
        newton = factor - first / second
        if not low <= newton < min(high, 10 * factor if factor else float("inf")):
            newton = (low + high) / 2 if high < float("inf") else 10 * max(factor, 0.1)
            if low == 0 and first > 0:
                newton = 0.0 if factor < 1e-3 else factor / 10
        factor = newton
    left = (second - curve).clamp(min=second / 4 + 1e-300)
    alone = (factor - (first - slope) / left).clamp(min=0, max=4 * factor + 1)
    total, _, _ = _moments(rise, log_shares, alone[number][:, None, None])
    ratio = alone[number][:, None] * own - total
    if product:
        return factor, -_bounded(_means(ratio, weight) * sizes, examples - 1)
    return factor, -_means(_bounded(ratio, len(number) - sizes[number][:, None]), weight)


def _moments(rise: Tensor, log_shares: Tensor, factor: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln sum_c p_c exp(b d_c), and its first and second derivative by b, each (N, G)."""
    tilted = rise * factor + log_shares
    total = torch.logsumexp(tilted, 2)
    tilted = (tilted - total[:, :, None]).exp()
    mean = (tilted * rise).sum(2)
    return total, mean, (tilted * rise.square()).sum(2) - mean.square()


def _means(values: Tensor, weight: tuple[Tensor, Tensor]) -> Tensor:
    """(E,) the mean over the rows of each example of values (N, G), summed over G."""
    number, sizes = weight
    return _sums(values.sum(1, keepdim=True), number, len(sizes))[:, 0] / sizes


def _of_best_for_others(losses: Tensor) -> Tensor:
    """Of losses (strengths, E, ..), those of each example at the strength that is best for all others."""
    return losses.gather(0, (losses.sum(1, keepdim=True) - losses).argmin(0, keepdim=True))[0]


def _bounded(ratio: Tensor, others: int | Tensor) -> Tensor:
    """ln(q / p), none below -ln(M + 1): as if a prediction that was right M times had once been wrong."""
    m = torch.as_tensor(others, dtype=torch.float64, device=ratio.device)
    return torch.logaddexp(ratio + (m / (m + 1)).log(), -(m + 1).log())


def _sums(values: Float[Tensor, "N G"], number: Tensor, examples: int) -> Float[Tensor, "E G"]:
    if len(values) == examples:
        return values
    return torch.zeros(examples, values.shape[1], dtype=values.dtype, device=values.device).index_add_(
        0, number, values
    )


def _squares(values: Tensor, number: Tensor, examples: int) -> Tensor:
    return _sums(values.square(), number, examples)


def _of_others(values: Float[Tensor, "N G"], number: Tensor, examples: int) -> Float[Tensor, "N G"]:
    """The mean square of the rows of all other examples."""
    own = _squares(values, number, examples)
    sizes = torch.bincount(number, minlength=examples).double()[:, None]
    return ((own.sum(0) - own) / (len(values) - sizes))[number]
