"""I(X; T + N) of outputs T that are a function of X, through Gaussian noise of known size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._checks import check_seed, positive, whole
from infopace._typing import Shaped
from infopace.estimators import Caution, Estimate
from infopace.estimators._student import two_sided_quantile

# What a critic for shuffled inputs may be multiplied by: 0, or 2^-12 to 1.
_TEMPERS = (0.0, *(2.0**-power for power in range(12, -1, -1)))
# From this distance of its two bounds on, in nats, the value says little.
_WIDE = 0.5


def information_through_noise(
    t: Shaped[Tensor, "n ..."], noise: float, *, draws: int = 4, seed: int = 0
) -> Estimate:
    """I(X; T + N) in nats, of a layer's outputs T with Gaussian noise N of standard deviation s rms(T).

        lower = < ln p(z_i|x_i) - ln (1/n) sum_j p(z_i|x_j) >                      the value, at most ln n
        upper = < ln p(z_i|x_i) - ln (1/(n - 1)) sum_(j != i) p(z_i|x_j) >

    Here z_i = t_i + N, and p(z|x_j) is the normal density around t_j, which is known because T is a function of X. So
    no critic is trained and no density is estimated. The first is InfoNCE with the exact critic: the information of n
    equally likely inputs, and in expectation no more than I(X; T + N) of the law that they come from. The second leaves
    the true input out of the mixture, and is no less in expectation. They meet where n examples are enough. The 95 %
    interval reaches from the one to the other, and the sampling error of each beyond it; `bias` holds what the second
    and its error add.

    The sampling error is that of the infinitesimal jackknife: an example counts as an input and in all mixtures. A
    bootstrap would not do, because it repeats examples, and nothing distinguishes an input from its copy.

    Without noise I(X; T) of a deterministic network is infinite, or ln n for n inputs, whatever it has learned (Saxe et
    al., ICLR 2018; Goldfeld et al., ICML 2019). So the value is about the noise as much as about the layer, and belongs
    beside s. It does not change with the scale of the layer, because s is relative to rms(T) = sqrt < t^2 > over all
    entries. It does change with a constant added to T and with factors of single units.

    Args:
        t: (n, ...) outputs of a layer; trailing dimensions are flattened.
        noise: s, above 0.
        draws: Draws of the noise for each example.
        seed: Of the noise: the same seed gives the same value.

    Returns:
        An estimate with `pointwise`; its ceiling is ln n, the most that n examples can show. The caution "beyond-reach"
        says that the bounds are more than half a nat apart: the information is then at least the value.

    Raises:
        ValueError: noise that is no positive number, fewer than 4 examples, outputs that are nan or inf.

    Sources: Poole et al., ICML 2019, arXiv:1905.06922 (both bounds); Kolchinsky and Tracey, Entropy 2017, 19(7):361
        (mixtures of normal densities); Efron, SIAM 1982 (infinitesimal jackknife).

    >>> t = torch.tensor([[-1.0], [1.0]] * 500)
    >>> round(information_through_noise(t, 0.1).nats, 2), round(information_through_noise(t, 1.0).nats, 2)
    (0.69, 0.34)
    """
    return with_null(t, noise, draws=draws, seed=seed)[0]


def with_null(
    t: Shaped[Tensor, "n ..."], noise: float, *, draws: int = 4, seed: int = 0
) -> tuple[Estimate, float]:
    """The estimate, and what the same critic finds in shuffled inputs, in nats.

    The exact critic gives shuffled inputs far less than 0. So its logarithm is multiplied by the number of 0, 2^-12, ..
    1 that gives them most. That is 0, or a little more by chance.
    """
    noise, draws, seed = positive("noise", noise), whole("draws", draws, 1), check_seed(seed)
    rows, deviation = _rows(t, noise)
    n = len(rows)
    generator = torch.Generator().manual_seed(seed)
    shift = torch.roll(torch.arange(n), 1)[torch.randperm(n, generator=generator).argsort()]
    terms, roles = torch.zeros(2, n).to(rows), torch.zeros(2, n).to(rows)
    null = 0.0
    for draw in range(draws):
        log = _log_ratios(rows, deviation, generator)
        if draw == 0:
            null = _of_shuffled(log, shift.to(log.device))
        for place, count in enumerate((n, n - 1)):
            if count < n:
                log.fill_diagonal_(-math.inf)
            whole_row = log.logsumexp(1)
            terms[place] += (math.log(count) - whole_row) / draws
            roles[place] += (log - whole_row[:, None]).exp_().sum(0) / draws
    lower, upper = (float(part.mean()) for part in terms)
    # What example k adds to the mean, as an input and in the mixtures of all.
    influence = terms - terms.mean(1, keepdim=True) + 1 - roles
    error, of_upper = (float(part) for part in (influence.square().sum(1) / (n - 1) / n).sqrt())
    beyond = two_sided_quantile(n - 1.0) * max(of_upper - error, 0.0)
    estimate = Estimate(
        lower,
        error,
        "through-noise",
        n,
        0,
        "",
        math.log(n),
        _cautions(lower, upper, n, bool((rows == rows[:1]).all())),
        choice=f"noise {noise:g} rms(T), {draws} draws with seed {seed}",
        bias=min(lower - upper, 0.0) - beyond,
        freedom=float(n - 1),
        pointwise=terms[0],
    )
    return estimate, null


def _rows(t: Tensor, noise: float) -> tuple[Tensor, float]:
    """The outputs as (n, r) in double precision, r at most n, and the standard deviation of the noise.

    Densities depend only on distances, so with more columns than examples a rotation into the span of the rows loses
    nothing.
    """
    if t.ndim < 2 or len(t) < 4:
        raise ValueError(f"t must be (n, ...) outputs of at least 4 examples, got shape {tuple(t.shape)}")
    flat = t.detach().flatten(1)
    if not bool(flat.isfinite().all()):
        raise ValueError(f"outputs must be finite, got {float(flat[~flat.isfinite()][0])}")
    rows = (flat.cpu() if flat.device.type == "mps" else flat).double()
    deviation = noise * float(rows.square().mean().sqrt())
    rows = rows - rows.mean(0)
    if rows.shape[1] > len(rows):
        squares, axes = torch.linalg.eigh(rows @ rows.T)
        rows = axes * squares.clamp(min=0).sqrt()
    return rows, deviation


def _log_ratios(rows: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """(n, n) ln p(z_i|x_j) - ln p(z_i|x_i) for one draw of the noise e:

    -( |t_i - t_j|^2 + 2 s e_i (t_i - t_j) ) / (2 s^2)
    """
    n = len(rows)
    if deviation == 0.0:  # all outputs are 0
        return torch.zeros(n, n).to(rows)
    rows = rows / deviation
    e = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
    squares = rows.square().sum(1)
    moved = rows + e
    # -|t_i - t_j|^2 / 2 - e_i (t_i - t_j) = (t_i + e_i) t_j - |t_j|^2 / 2, less the same for j = i
    log = moved @ rows.T - squares / 2
    return log - log.diagonal()[:, None]


def _of_shuffled(log: Tensor, shift: Tensor) -> float:
    n = len(log)
    paired = log[torch.arange(n, device=log.device), shift]
    found = [
        float((temper * paired - (temper * log).logsumexp(1)).mean()) + math.log(n) for temper in _TEMPERS
    ]
    return max(found)


def _cautions(lower: float, upper: float, n: int, constant: bool) -> tuple[Caution, ...]:
    if constant:
        return (Caution("constant", "all outputs are equal: they carry no information"),)
    if upper - lower <= _WIDE:
        return ()
    sentence = (
        f"{n} examples show at least {lower:.3g} nats, of {math.log(n):.3g} that they can show, and at most "
        f"{upper:.3g}: take more noise or more examples"
    )
    return (Caution("beyond-reach", sentence),)
