"""Bounds of mutual information from a critic's scores: pure functions with gradients, for any critic.

A critic T(x, y) gives a score to a pair. Scores of pairs from the sample are `joint`. Scores of an x with the y of
another example are `product`. All values are in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._typing import Float


def pair_scores(scores: Float[Tensor, "n n"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " rest"]]:
    """(joint, product) of all scores T(x_i, y_j): the diagonal, and everything else."""
    others = ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores.diagonal(), scores[others]


def donsker_varadhan(
    joint: Float[Tensor, " n"],
    product: Float[Tensor, " m"],
    log_mean: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Donsker-Varadhan value, the bound of MINE.

        I >= < T >_joint - ln < e^T >_product

    The second term is computed as logsumexp - ln m. On a batch its gradient < e^T dT > / < e^T > is biased, because the
    denominator is that of the batch. `log_mean` is the logarithm of a running mean of < e^T > (`running_log_mean`).
    With it the gradient has that denominator instead, and the value stays the same.

    Source: Belghazi et al., ICML 2018 (arXiv:1801.04062), eq. 5, 10 and 12.

    >>> round(float(donsker_varadhan(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0, 0.0]))), 4)
    1.0
    """
    second = log_mean_exp(product)
    if log_mean is not None:
        corrected = (product - log_mean).exp().mean()
        second = second.detach() + (corrected - corrected.detach())
    return joint.mean() - second


def running_log_mean(
    previous: Float[Tensor, ""] | None, product: Float[Tensor, " m"], rate: float = 0.01
) -> Float[Tensor, ""]:
    """ln of the exponential moving average of < e^T >: (1 - rate) of the previous one, rate of this batch."""
    now = log_mean_exp(product.detach())
    if previous is None:
        return now
    return torch.logaddexp(previous + math.log1p(-rate), now + math.log(rate))


def infonce(scores: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """InfoNCE value of the scores T(x_i, y_j) of n pairs; never above ln n.

        I >= ln n + < T_ii - ln sum_j e^T_ij >

    Sources: van den Oord, Li and Vinyals, arXiv:1807.03748; as a bound: Poole et al., ICML 2019.

    >>> round(float(infonce(100 * torch.eye(4))), 4) == round(math.log(4), 4)
    True
    """
    return math.log(len(scores)) + (scores.diagonal() - scores.logsumexp(1)).mean()


def smile(joint: Float[Tensor, " n"], product: Float[Tensor, " m"], clip: float = 5.0) -> Float[Tensor, ""]:
    """SMILE value: Donsker-Varadhan with the density ratio of the product pairs clipped.

        I ~ < T >_joint - ln < e^clamp(T, -clip, clip) >_product

    Clipping bounds the variance of the second term, which for Donsker-Varadhan grows as e^I. The price is a bias of at
    most what lies beyond e^clip, so the value is an estimate and no lower bound. clip = inf is Donsker-Varadhan.

    Source: Song and Ermon, ICLR 2020 (arXiv:1910.06222), eq. 14.
    """
    return joint.mean() - log_mean_exp(product.clamp(-clip, clip))


def jensen_shannon(joint: Float[Tensor, " n"], product: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """What a SMILE critic is trained on: the log-likelihood of a classifier of joint and product pairs.

        < -softplus(-T) >_joint - < softplus(T) >_product

    Its maximum is at T = ln p(x,y) / p(x)p(y), where the other bounds are tight. Unlike the clipped value it has a
    gradient for every pair.

    Sources: Nowozin et al., NeurIPS 2016; used so by Song and Ermon (2020).
    """
    softplus = torch.nn.functional.softplus
    return -softplus(-joint).mean() - softplus(product).mean()


def log_mean_exp(values: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """ln < e^v >, without overflow."""
    return values.logsumexp(0) - math.log(len(values))
