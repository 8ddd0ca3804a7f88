"""The decoder bound: the information that a classifier's own probabilities prove."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from infopace.estimators._estimate import Estimate
from infopace.estimators._inputs import as_class_numbers, as_classes, as_matrix, as_tensor, check_same_number
from infopace.estimators._plug_in import entropy

# In bfloat16, which keeps 8 bits, the probabilities of a softmax sum to 1 within 2^-7.
_SUM_TOLERANCE = 2.0**-7


def decoder_bound(scores: Any, labels: Any) -> Estimate:
    """Lower bound of I(T;Y) in nats from class scores (n, C) and labels (n,) in 0..C-1.

        I(T;Y) >= H(Y) + < ln q(y_i | t_i) >

    H(Y) is the entropy of these labels, and q the classifier's probability of the true label. So the bound is H(Y) less
    the cross-entropy. In expectation it holds for every q (Barber & Agakov, NeurIPS 2003), and it is tight where q is
    the true posterior. Width and number of classes do not matter.

    Args:
        scores: (n, C) logits or log-probabilities; log-softmax is right for both. Or probabilities, recognised because
            they are non-negative and sum to 1. One column is the logit of label 1 of two.
        labels: (n,) whole numbers.

    Raises:
        ValueError: nan or inf, an empty or mismatched input, labels that are not in 0..C-1.

    >>> decoder_bound([[9.0, 0.0], [0.0, 9.0]], [0, 1]).nats
    0.6930...
    """
    shape = as_tensor(scores, "scores").shape
    if math.prod(shape[2:]) != 1:
        raise ValueError(f"scores must be (n, C), one a class, got shape {tuple(shape)}")
    matrix = as_matrix(scores, "scores").double()
    y = as_class_numbers(labels, "labels", "the numbers 0..C-1 of the scores' columns").to(matrix.device)
    check_same_number(len(matrix), len(y), "scores", "labels")
    log_probability = _log_softmax(matrix)
    low, high, classes = int(y.min()), int(y.max()), log_probability.shape[1]
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(f"labels must be in 0..C-1 for scores with C = {classes} columns, got label {wrong}")
    gain = log_probability[torch.arange(len(y), device=y.device), y]
    target_entropy = entropy(y)
    # The spread of H(Y) and of the log-probabilities together. A term is the surprise of an example under the label
    # shares, less its surprise under the classifier.
    number, sizes = as_classes(y)
    terms = gain - (sizes.double() / len(y)).log()[number]
    std_error = float(terms.std() / len(y) ** 0.5) if len(y) > 1 else float("nan")
    return Estimate(
        float(gain.mean()) + target_entropy,
        std_error,
        "decoder",
        len(y),
        0,
        "",
        target_entropy,
        pointwise=terms,
    )


def both_logits(scores: Tensor) -> Tensor:
    """One column, the logit of label 1 of two -> the logits of both."""
    return torch.cat([torch.zeros_like(scores), scores], 1)


def are_probabilities(lowest: float, sums: Tensor) -> bool:
    """Whether scores are probabilities, by their least value and the sum of each example's."""
    return lowest >= 0 and bool(((sums - 1).abs() < _SUM_TOLERANCE).all())


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Logarithms in float32 or float64 that are finite: a saturated softmax holds exact zeros."""
    return probabilities.clamp(min=torch.finfo(torch.float32).tiny).log()


def _log_softmax(scores: Tensor) -> Tensor:
    if scores.shape[1] == 1:
        scores = both_logits(scores)
    elif are_probabilities(float(scores.min()), scores.sum(1)):
        scores = log_probabilities(scores)
    return scores.log_softmax(1)
