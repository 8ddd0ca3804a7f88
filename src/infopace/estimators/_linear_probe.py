"""The information in a layer that a linear classifier proves on held-out examples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._cautions import left_out
from infopace.estimators._error_bar import stratified_parts
from infopace.estimators._estimate import Estimate
from infopace.estimators._inputs import as_classes, as_labels, as_matrix, check_same_number
from infopace.estimators._neighbour_search._distances import column_chunks
from infopace.estimators._plug_in import entropy
from infopace.estimators._softmax_regression import softmax_regression_path

# Ridge strengths for examples of mean square 1, strong first. At the strongest the probe has little more than the class
# shares; the weakest hardly binds.
_STRENGTHS = tuple(10.0**-e for e in range(6))
# Factors on the fitted weights. A fit in more columns than examples is overconfident, and small factors correct it. At
# 20,000 columns and 1,000 examples, 87 % of held-out ones right, the best strength alone proves 0.96 nats; strengths a
# hundred times weaker prove 1.2 and more. Large factors restore what a strong penalty shrinks.
_FACTORS = (0.0, *(10.0 ** (e / 8) for e in range(-16, 41)))
# Nats, over all fitted examples, that a chosen strength and factor must gain: one a number (Akaike 1974).
_WORTH = 2.0
# Parts of the fitted examples that choose the strength by cross-validation.
_INNER_FOLDS = 3
# Directions with less than this share of the largest variance are rounding errors of the float32 products.
_RANK_TOLERANCE = 1e-6


def linear_probe_bound(x: Any, labels: Any, *, folds: int = 5) -> Estimate:
    """Lower bound of I(X;Y) in nats from layer outputs x (n, ...) and labels (n,), cross-validated.

        I(X;Y) >= H(Y) + < ln q_f(i)(y_i | x_i) >

    H(Y) is the entropy of these labels and <> the mean over examples. q_f is the multinomial logistic regression with a
    ridge penalty, fitted without the fold f of example i (Barber & Agakov, NeurIPS 2003; probes: Alain & Bengio 2016).
    Column scales, the strength of the penalty and a factor on the weights (temperature scaling: Guo et al., ICML 2017)
    are chosen without that fold too. So the bound holds in expectation, and noise measures about 0. With m fitted
    examples q gives one part in m + 1 of its probability to all classes alike, so no single example can ruin the mean.

    Folds are stratified and always the same. A probe of d > m columns is fitted exactly, in the m coordinates that its
    examples span: 100,000 columns cost one matrix product a fold. The standard error is that of the held-out terms. It
    ignores that the folds share fitted examples.

    Args:
        x: (n, ...) floating examples; trailing dimensions are flattened.
        labels: (n,) labels of any hashable kind.
        folds: Parts of the examples, 2..n.

    Raises:
        ValueError: nan or inf, an empty or mismatched input, floating labels, folds outside 2..n, or labels that never
            repeat.

    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> round(linear_probe_bound(x, (x[:, 0] > 0).long()).nats, 1)
    0.6
    """
    matrix = as_matrix(x, "x")
    y = as_labels(labels).to(matrix.device)
    check_same_number(len(matrix), len(y), "x", "labels")
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= len(y):
        raise ValueError(f"folds must be in 2..n, got folds = {folds!r} with n = {len(y)}")
    classes, sizes = as_classes(y)
    kept = sizes[classes] > 1
    alone = int((~kept).sum())
    if alone == len(y):
        raise ValueError(f"labels must repeat, got {len(y)} examples with {len(y)} different labels")
    if alone:
        matrix = matrix[kept]
        classes, sizes = as_classes(y[kept])
    parts = stratified_parts(classes, folds)
    gain = torch.empty(len(matrix), dtype=torch.float64, device=matrix.device)
    means, factors = _scales(matrix, parts, folds)
    for part in range(folds):
        train, test = (parts != part).nonzero()[:, 0], (parts == part).nonzero()[:, 0]
        if len(test):
            fitted, held_out = _coordinates(matrix, train, test, means[part], factors[part])
            gain[test] = _held_out_gain(fitted, classes[train], held_out, classes[test], len(sizes))
    target_entropy = entropy(classes)
    terms = gain - (sizes.double() / len(classes)).log()[classes]
    std_error = float(terms.std() / len(terms) ** 0.5)
    warnings = (left_out(alone),) if alone else ()
    return Estimate(
        float(terms.mean()), std_error, "linear-probe", len(terms), 0, "", target_entropy, warnings
    )


def _scales(
    x: Float[Tensor, "n d"], parts: Int[Tensor, " n"], count: int
) -> tuple[Float[Tensor, "count d"], Float[Tensor, "count d"]]:
    """Mean of each column without each part, and the factor that gives examples a mean square of 1."""
    train = (parts[None, :] != torch.arange(count, device=x.device)[:, None]).double()
    train /= train.sum(1, keepdim=True)
    means = torch.empty(count, x.shape[1], dtype=torch.float64, device=x.device)
    factors = torch.empty_like(means)
    for chunk, columns in column_chunks(x):
        centre = chunk.mean(0)
        chunk = chunk - centre
        mean = train @ chunk
        squares = chunk.square_()
        variance = train @ squares - mean.square()
        # For a column that is constant without the part, this difference is only rounding.
        constant = variance <= 1e-12 * mean.square()
        means[:, columns] = mean + centre
        factors[:, columns] = torch.where(constant, 0.0, variance.clamp(min=1e-300).rsqrt())
    return means, factors / (factors > 0).sum(1, keepdim=True).clamp(min=1).sqrt()


def _coordinates(
    x: Float[Tensor, "n d"],
    train: Int[Tensor, " m"],
    test: Int[Tensor, " t"],
    mean: Float[Tensor, " d"],
    factor: Float[Tensor, " d"],
) -> tuple[Float[Tensor, "m r"], Float[Tensor, "t r"]]:
    """The scaled examples in r <= min(m, d) coordinates that are uncorrelated over the m fitted examples.

    The coordinates are all principal axes of the fitted examples, so a ridge fit in them is the fit in x. For d > m
    they come from the products of the examples. With K = Z Z' = U S U' they are U S^1/2, and those of another example
    z are z Z' U S^-1/2.
    """
    if x.shape[1] <= len(train):
        fitted, held_out = ((x[part].double() - mean) * factor for part in (train, test))
        _, axes = torch.linalg.eigh(fitted.T @ fitted)
        return fitted @ axes, held_out @ axes
    order, m = torch.cat([train, test]), len(train)
    products = torch.zeros(len(order), m, dtype=torch.float64, device=x.device)
    step = max(64, -(-m // 4))
    for chunk, columns in column_chunks(x):
        # Scaled columns have entries of one size. Products in float32 lose nothing that the ridge keeps.
        scaled = ((chunk[order] - mean[columns]) * factor[columns]).float()
        for start in range(0, m, step):
            stop = min(start + step, m)
            products[start:, start:stop] += scaled[start:] @ scaled[start:stop].T
    # Only the lower half was computed, and eigh reads no other.
    values, vectors = torch.linalg.eigh(products[:m])
    kept = values > _RANK_TOLERANCE * values[-1].clamp(min=1e-300)
    root, vectors = values[kept].sqrt(), vectors[:, kept]
    return vectors * root, products[m:] @ (vectors / root)


def _held_out_gain(
    fitted: Float[Tensor, "m r"],
    fitted_classes: Int[Tensor, " m"],
    held_out: Float[Tensor, "t r"],
    held_out_classes: Int[Tensor, " t"],
    count: int,
) -> Float[Tensor, " t"]:
    """Log-probability of the held-out classes; the fitted examples choose strength and factor."""
    inner = stratified_parts(fitted_classes, _INNER_FOLDS)
    splits = [(inner != part, inner == part) for part in range(_INNER_FOLDS)]
    paths = [
        softmax_regression_path(fitted[fit], fitted_classes[fit], count, _STRENGTHS) for fit, _ in splits
    ]
    # The class shares alone, unless a probe gains more than its two chosen numbers cost.
    shares = torch.bincount(fitted_classes, minlength=count).double() / len(fitted)
    best, lowest, worse = (_STRENGTHS[0], 0.0), -float(shares[fitted_classes].log().sum()) - _WORTH, 0
    for strength in _STRENGTHS:
        losses = torch.zeros(len(_FACTORS), dtype=torch.float64, device=fitted.device)
        for (fit, check), path in zip(splits, paths, strict=True):
            scores = _scores(next(path), fitted[check])
            for index, factor in enumerate(_FACTORS):
                gain = _log_probability(scores, factor, fitted_classes[check], int(fit.sum()))
                losses[index] -= gain.sum()
        if float(losses.min()) < lowest:
            best, lowest, worse = (strength, _FACTORS[int(losses.argmin())]), float(losses.min()), 0
        elif best[1] > 0 and (worse := worse + 1) == 2:
            break
    (weights,) = softmax_regression_path(fitted, fitted_classes, count, [best[0]])
    return _log_probability(_scores(weights, held_out), best[1], held_out_classes, len(fitted))


def _scores(
    weights: Float[Tensor, "r_plus_1 count"], features: Float[Tensor, "t r"]
) -> tuple[Float[Tensor, "t count"], Float[Tensor, " count"]]:
    """What the features add to each class, and the intercept of each class."""
    return features @ weights[:-1], weights[-1]


def _log_probability(
    scores: tuple[Tensor, Tensor], factor: float, classes: Int[Tensor, " t"], trained_on: int
) -> Float[Tensor, " t"]:
    slopes, intercepts = scores
    own = (factor * slopes + intercepts).softmax(1).gather(1, classes[:, None])[:, 0]
    return ((own * trained_on + 1 / len(intercepts)) / (trained_on + 1)).log()
