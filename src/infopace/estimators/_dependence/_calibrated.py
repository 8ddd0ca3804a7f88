"""A model of the dependence, corrected by KSG: run on the data and on samples of the model, it finds what is missed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infopace.estimators._dependence._choice import choose, is_copula
from infopace.estimators._dependence._copula import fit_gaussian
from infopace.estimators._dependence._features import CLEAR, Projected, projected
from infopace.estimators._dependence._held_out import DependenceModel
from infopace.estimators._dependence._scores import (
    content_order,
    normal_scores,
    principal_columns,
    uniform_scores,
    varying,
)
from infopace.estimators._dependence._straight import straightened
from infopace.estimators._error_bar import GROWING, ErrorBar, subsampling_error_bar
from infopace.estimators._neighbour_search._choose import of_vectors

# With fewer examples a column the second moments of half the examples cannot be inverted. Then columns are reduced.
_EXAMPLES_A_COLUMN = 4
# Above this share of examples with k copies there are atoms and no density. KSG counts them, and its value stands.
_ATOMS = 0.01
# Samples of the model, at least so many, and more where examples are few and KSG is noisy.
_SIMULATIONS, _SIMULATED_EXAMPLES = 3, 4_000
# Samples of the model on which functions are chosen too.
_PROJECTED = 2
# With fewer examples models cannot be compared.
_FEWEST = 20
# Neighbours share neighbours, so the spread of KSG is up to 1.4 times that of independent terms (measured: 40 draws,
# n = 1000, widths 1 to 25, with and without dependence). A difference counts from `CLEAR` of these on.
_DEPENDENCE = 1.4
# Between two single columns of so many examples KSG is off by about its noise. It corrects a copula sooner, and no
# mixtures are fitted.
_MANY, _CLEAR_PLAIN = 2_000, 1.5
# Bends are taken back in part: by shears of 2 to 6 columns (24 samples) the value was too low by up to .11 nats, and
# what taking them back had added was .1 to .2. So half of that counts as bias.
_BENT = 0.5
# Noise as a multiple of that of KSG: 1.1 to 1.3 for KSG less the bias that its parts show, 0.2 to 0.4 for that bias
# alone (results/coverage.jsonl: corrected_spread and bias_seen_spread over spread).
_CORRECTED, _BIAS = 1.2, 0.35


@dataclass(frozen=True)
class Calibrated:
    """nats = model + weight * (ksg - ksg_of_model), with its error bar and what was chosen."""

    nats: float
    error: ErrorBar
    model: str
    model_nats: float
    ksg: float
    ksg_of_model: float
    weight: float
    bounds: dict[str, float]
    clear: float = 0.0
    unexplained: float = 0.0
    missed: float = 0.0
    left_out: int = 0


def calibrated_information(x: Tensor, y: Tensor, k: int = 3, error_bar: bool = True) -> Calibrated:
    """I(X;Y) of continuous blocks x (n, p) and y (n, q), nats.

    1. Every column becomes its ranks, which leaves I the same. So does taking back bends of columns by others of their
       block (`_straight`). Where there are any, all that follows is done with and without, and the larger value stands.
    2. Cross-fitted Donsker-Varadhan bounds choose a model of the dependence, the simplest first: Gaussian copula,
       Student copula, Gaussian mixtures with 4, 8, ... components. A richer model must be better by two standard
       errors of the paired difference.
    3. KSG is run on the data and on samples of that model, whose information is known. The difference D is what the
       model misses:

           I = I_model + w D,   w = max(0, 1 - (2.5 s / D)^2),   s the standard error of D

       So a difference within the noise changes nothing where a copula may be the whole truth. A mixture is always an
       approximation, and there w = 1. I_model has no first-order fitting bias: exactly for the Gaussian copula, by the
       mean of fitted and held-out log ratio for mixtures.

    The standard error is that of the mean of (1 - w) f + w t. f are the held-out log ratios and t the terms of KSG,
    whose dependence is measured on parts of the sample.

    The bias comes from the choice of model, as far as neighbours show it. Parts of the data, and of a sample of the
    model, show by how much KSG is too low for want of examples: b and b_model. Without these the difference is
    D - b + b_model, and the value leaves out d = D - b + b_model - w D. What of d is beyond its own noise s counts:

        bias = -sign(d) sqrt(max(0, d^2 - s^2)),   s = s_KSG hypot(1.2 (1 - w) + 0.35 w, 0.35)

    (For two estimates of the same quantity, squared distance less variance is unbiased for their squared difference;
    DerSimonian and Laird 1986.) The bias of ranks is added (`_scores.rank_bias`). Where bends were taken back, the bias
    is at least half of what that added.

    In many columns neighbours find little of what models miss. So KSG is also run on a few functions of x and of y that
    were chosen on other examples (`_features`), on the data and on samples of the model. What is clearly larger on the
    data and not in w D is missed: it is added to the bias, and from 0.1 nats on it is said.

    The value is never below the best bound on held-out examples: that of a model, where it is clearly above 0, or KSG
    of the functions, where it is clearly above the value. So where x and y are independent it is not raised.

    No model is used where ranks cannot resolve the dependence, or where KSG grows with n on the data but not on samples
    of the model. The value is then KSG, which is still below the information, and the bias is -inf.
    """
    blocks = [varying(block.reshape(len(block), -1).double()) for block in (x, y)]
    width = sum(block.shape[1] for block in blocks)
    if not blocks[0].shape[1] or not blocks[1].shape[1]:
        exact = ErrorBar(0.0, 0.0, math.inf)
        return Calibrated(0.0, exact, "constant", 0.0, 0.0, 0.0, 0.0, {})
    u_x, u_y = _reduced(*(uniform_scores(block) for block in blocks))
    u = torch.cat([u_x, u_y], 1)
    u, p = u[content_order(u)], u_x.shape[1]
    found = replace(_of_scores(u, p, k, error_bar), left_out=width - u.shape[1])
    if found.model == "none" or (straight := _without_bends(u, p)) is None:
        return found
    other = replace(_of_scores(straight, p, k, error_bar), left_out=found.left_out)
    added = other.nats - found.nats
    if other.model == "none" or added <= 0:
        return found
    bias = other.error.bias if math.isnan(other.error.bias) else min(other.error.bias, -_BENT * added)
    return replace(other, error=replace(other.error, bias=bias))


def _of_scores(u: Tensor, p: int, k: int, error_bar: bool) -> Calibrated:
    """The same for uniform scores (n, d) whose first p columns are x."""
    n = len(u)
    z = normal_scores(u)
    terms, bar = _ksg(z, p, k, error_bar)
    ksg = float(terms.mean())
    if n < _FEWEST or _copied(u, k) > _ATOMS:
        return Calibrated(ksg, bar, "none", math.nan, ksg, math.nan, 1.0, {})
    plain = u.shape[1] == 2 and n >= _MANY
    chosen = choose(u, p, mixtures=not plain)
    model, value, held_out, bounds = chosen.model, chosen.nats, chosen.held_out, chosen.bounds
    at_least = Calibrated(ksg, replace(bar, bias=-math.inf), "none", math.nan, ksg, math.nan, 1.0, bounds)
    if not (model.resolved() and fit_gaussian(u, p).resolved()):
        # Beyond what ranks resolve, the model would extrapolate down to the ridge of its scatter.
        return at_least
    generator = torch.Generator().manual_seed(0)
    simulations = min(20, max(_SIMULATIONS, _SIMULATED_EXAMPLES // n))
    draws = [_like(model, z, generator) for _ in range(simulations)]
    samples = [_ksg(draw, p, k, error_bar and i == 0) for i, draw in enumerate(draws)]
    simulated = torch.stack([terms.mean() for terms, _ in samples])
    mixture = not is_copula(model)
    if mixture:
        # A mixture overfits, and so do its samples. The share that KSG finds of that cancels in the difference.
        own = model.information()
        share = min(1.0, max(0.0, float(simulated.mean()) / own)) if own > 0 else 0.0
        value = share * own + (1 - share) * value
    difference = ksg - float(simulated.mean())
    spread = max(_DEPENDENCE * float(terms.std()) / math.sqrt(n), float(simulated.std()))
    noise = spread * math.sqrt(1 + 1 / simulations)
    clearly = _CLEAR_PLAIN if plain else CLEAR
    weight = 1.0 if mixture else max(0.0, 1 - (clearly * noise / difference) ** 2) if difference else 0.0
    error = ErrorBar()
    # What neighbours clearly find beyond the model is all they can find of it. In few columns that is nearly all.
    clear = max(0.0, 1 - (CLEAR * noise / difference) ** 2) * difference if difference > 0 else 0.0
    unexplained = clear * max(0, u.shape[1] - 2) / 2
    if bar.bias - samples[0][1].bias < GROWING:
        return at_least
    found = projected(u, p, k) if u.shape[1] > 2 else None
    missed, clearly_missed = _missed(found, draws, p, k, weight * difference)
    if math.isfinite(bar.bias):
        influence = (1 - weight) * held_out.terms + weight * terms
        independent = float(terms.std()) / math.sqrt(n)
        dependence = max(1.0, bar.std_error / independent) if independent else 1.0
        sampling = float(influence.std()) / math.sqrt(n) * (1 - weight + weight * dependence)
        error = ErrorBar(
            math.hypot(sampling, (1 - weight) * model.chance(), weight * noise / math.sqrt(1 + simulations)),
            _left_out((1 - weight) * difference - bar.bias + samples[0][1].bias, bar.std_error, weight)
            + (min(0.0, bar.bias) if mixture else (1 - weight) * model.rank_bias())
            - max(unexplained, clearly_missed),
            bar.freedom if weight else math.inf,
        )
    nats = value + weight * difference
    least, spread = chosen.least, 0.0
    if found is not None and (shown := found.highest(nats)) is not None and shown[0] > least:
        least, spread = shown
        missed = max(missed, least - nats)
    if least > nats:
        # The upper end of the interval stays.
        if not math.isnan(error.bias):
            bias = min(0.0, error.bias + least - nats)
            error = replace(error, bias=bias, std_error=max(error.std_error, spread))
        nats = least
    simulated_mean = float(simulated.mean())
    return Calibrated(
        nats,
        error,
        model.name,
        value,
        ksg,
        simulated_mean,
        weight,
        bounds,
        clear,
        unexplained,
        missed,
    )


def _without_bends(u: Tensor, p: int) -> Tensor | None:
    """The scores with the bends in each block taken back; None where there are none."""
    blocks = [u[:, :p], u[:, p:]]
    straight = [straightened(block) for block in blocks]
    if all(block is None for block in straight):
        return None
    return torch.cat(
        [block if bent is None else bent for block, bent in zip(blocks, straight, strict=True)], 1
    )


def _missed(
    found: Projected | None, draws: list[Tensor], p: int, k: int, corrected: float
) -> tuple[float, float]:
    """What functions show beyond samples of the model and the correction, and what is clear of it."""
    if found is None:
        return 0.0, 0.0
    samples = [projected(torch.special.ndtr(draw), p, k) for draw in draws[:_PROJECTED]]
    simulated = torch.stack([each.nats for each in samples if each is not None])
    difference = found.nats - simulated.mean(0)
    noise = found.spread * math.sqrt(1 + 1 / len(simulated))
    share = 1 - (CLEAR * noise / difference) ** 2
    clear = torch.where((difference > 0) & (share > 0), share * difference, 0.0)
    best = int(clear.argmax())
    if float(clear[best]) == 0:
        return 0.0, 0.0
    return float(difference[best]) - corrected, max(0.0, float(clear[best]) - corrected)


def _left_out(found: float, noise: float, weight: float) -> float:
    """Bias of the value: what neighbours find and the value leaves out, beyond the noise."""
    noise *= math.hypot((1 - weight) * _CORRECTED + weight * _BIAS, _BIAS)
    return 0.0 if abs(found) <= noise else -math.copysign(math.sqrt(found**2 - noise**2), found)


def _like(model: DependenceModel, z: Tensor, generator: torch.Generator) -> Tensor:
    """A sample of the model with exactly the values of the data in each column."""
    rank = model.sample(len(z), generator).argsort(0).argsort(0)
    return z.sort(0).values.gather(0, rank)


def _ksg(z: Tensor, p: int, k: int, error_bar: bool) -> tuple[Tensor, ErrorBar]:
    """Terms whose mean is KSG-1, and the error bar, nan if not wanted."""
    k = min(k, len(z) - 1)
    found = of_vectors("ksg1", z[:, :p].contiguous(), z[:, p:].contiguous(), k, "euclidean", "block")
    if not error_bar:
        return found.pointwise, ErrorBar()
    bar = subsampling_error_bar(found.of_part, found.nats, len(z), k, together=found.of_parts)
    return found.pointwise, bar


def _copied(u: Tensor, k: int) -> float:
    """Share of examples with k or more copies."""
    if len(torch.unique(u[:, 0])) == len(u):
        return 0.0
    sizes = torch.unique(u, dim=0, return_counts=True)[1]
    return int(sizes[sizes > k].sum()) / len(u)


def _reduced(u_x: Tensor, u_y: Tensor) -> tuple[Tensor, Tensor]:
    """At most n / 4 columns together; a block with fewer columns than its share leaves the rest to the other."""
    total = max(2, len(u_x) // _EXAMPLES_A_COLUMN)
    p, q = u_x.shape[1], u_y.shape[1]
    half = total // 2
    return principal_columns(u_x, max(half, total - q)), principal_columns(u_y, max(half, total - p))
