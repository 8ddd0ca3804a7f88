"""Labels and their counts: the entropy of one set, the mutual information of two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._inputs import as_classes, as_labels


def entropy(labels: Any) -> float:
    """Entropy of the empirical distribution of labels (n,) of any hashable kind, in nats.

        H(Y) = -sum_c p_c ln p_c,    p_c = N_c / n

    N_c of the n labels are c. Where labels are a function of the input, H(Y) is also I(X;Y), the most that any layer
    can carry about them (Cover & Thomas 2006, eq. 2.1).

    >>> round(entropy([0, 0, 1, 1]), 4)
    0.6931
    >>> round(entropy(["cat", "dog", "cat", "dog"]), 4)
    0.6931

    Raises:
        ValueError: floats, several columns, missing values, no labels.
    """
    values = as_labels(labels)
    if values.numel() == 0:
        raise ValueError(f"labels must not be empty, got shape {tuple(values.shape)}")
    _, counts = as_classes(values)
    shares = counts.double() / counts.sum()
    # The absolute value turns the -0.0 of a single class into 0.0.
    return float((shares * shares.log()).sum().abs())


def plug_in(x: Int[Tensor, " n"], y: Int[Tensor, " n"]) -> float:
    """Plug-in estimate of I(X;Y) in nats for labels x and y, with the Miller-Madow correction.

        I = sum_ab p_ab ln(p_ab / (p_a p_b)) - (K_ab - K_a - K_b + 1) / (2n)

    p_ab is the share of examples with labels a and b, p_a and p_b its sums. K_ab, K_a and K_b are the numbers of
    pairs, of labels x and of labels y that occur. The sum alone is too high by the second term, to first order in
    1/n, because each entropy is too low by (K - 1) / (2n) (Miller 1955, Information Theory in Psychology; Paninski,
    Neural Computation 15, 2003, eq. 4). Labels and pairs that never occur are not corrected for. So with few examples
    a pair the value is still biased; see `adjusted_information`.

    >>> x = torch.tensor([0, 1] * 50)
    >>> round(plug_in(x, 1 - x), 4)  # ln 2 + 1/200
    0.6981
    """
    shares, gains, (pairs, rows, columns) = _table(x, y)
    return float((shares * gains).sum()) - (pairs - rows - columns + 1) / (2 * len(x))


def corrected_entropy(labels: Int[Tensor, " n"]) -> float:
    """Entropy of labels in nats, with the Miller-Madow correction. `plug_in` is never above that of x or y.

        H = -sum_a p_a ln p_a + (K - 1) / (2n)

    >>> round(corrected_entropy(torch.tensor([0, 1] * 50)), 4)  # ln 2 + 1/200
    0.6981
    """
    sizes = as_classes(labels)[1]
    shares = sizes.double() / len(labels)
    return float((shares * shares.log()).sum().abs()) + (len(sizes) - 1) / (2 * len(labels))


def plug_in_std_error(x: Int[Tensor, " n"], y: Int[Tensor, " n"]) -> float:
    """Standard error of `plug_in` in nats, by the delta method.

        se^2 = ( sum_ab p_ab g_ab^2 - (sum_ab p_ab g_ab)^2 ) / n,    g_ab = ln(p_ab / (p_a p_b))

    The derivative of I by p_ab is g_ab - 1, so this is the variance of a mean of g. For independent x and y, g goes to
    0 and 2 n I follows a chi-square of (K_a - 1)(K_b - 1) degrees of freedom. The formula is then too large by about
    the root of 2, which is the safe side. It is 0 where one label determines the other and all are equally frequent.
    (Moddemeijer, Signal Processing 16, 1989; Basharin 1959.)
    """
    shares, gains, _ = _table(x, y)
    mean = (shares * gains).sum()
    return float(((shares * (gains - mean).square()).sum() / len(x)).sqrt())


def _table(
    x: Int[Tensor, " n"], y: Int[Tensor, " n"]
) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"], tuple[int, int, int]]:
    """Shares and log-ratios of the pairs that occur, and the numbers of pairs, labels x and labels y."""
    if len(x) == 0:
        raise ValueError("labels must not be empty, got 0 examples")
    row, row_sizes = as_classes(x)
    column, column_sizes = as_classes(y)
    pairs, sizes = torch.unique(row * len(column_sizes) + column, return_counts=True)
    expected = row_sizes[pairs // len(column_sizes)].double() * column_sizes[pairs % len(column_sizes)]
    # One quotient of whole numbers: exact independence and exact dependence give exact results.
    gains = (sizes.double() * len(x) / expected).log()
    return sizes.double() / len(x), gains, (len(pairs), len(row_sizes), len(column_sizes))
