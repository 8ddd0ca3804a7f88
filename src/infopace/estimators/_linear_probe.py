"""What a linear classifier, tested on rows that it has not seen, proves about a layer's information."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._cautions import left_out
from infopace.estimators._estimate import Estimate
from infopace.estimators._inputs import as_classes, as_labels, as_matrix, check_same_number
from infopace.estimators._neighbour_search._distances import column_chunks
from infopace.estimators._plug_in import entropy
from infopace.estimators._softmax_regression import softmax_regression_path

# Ridge strengths for rows of mean square 1, strong first: from one at which the probe all but knows the class
# shares only to one that hardly binds.
_STRENGTHS = tuple(10.0**-e for e in range(6))
# Factors on the fitted weights. A fit in more columns than rows is far surer of its own rows than of others
# (20,000 columns, 1,000 rows, right on 87 % of unseen rows: 0.96 nats with the best strength alone, 1.2 and
# rising at strengths a hundred times weaker); the wide end undoes what a strong penalty shrinks.
_FACTORS = (0.0, *(10.0 ** (e / 8) for e in range(-16, 41)))
# Nats, over all training rows, that a chosen strength and factor must bring: one a number (Akaike 1974).
_WORTH = 2.0
# Of the training rows, one part in this many chooses the strength.
_INNER_FOLDS = 3
# Directions with less than this share of the largest variance are rounding of the float32 products.
_RANK_TOLERANCE = 1e-6


def linear_probe_bound(x: Any, labels: Any, *, folds: int = 5) -> Estimate:
    """Lower bound of I(X;Y) in nats from layer outputs x (n, ...) and labels (n,), cross-validated.

        I(X;Y) >= H(Y) + < ln q_f(i)(y_i | x_i) >

    H(Y) is the entropy of the labels at hand, <> the mean over rows, and q_f the multinomial logistic
    regression with a ridge penalty fitted without the fold f that holds row i (Barber & Agakov, NeurIPS
    2003; probes: Alain & Bengio 2016). Column scales, the strength of the penalty and a factor on the
    weights (temperature scaling: Guo et al., ICML 2017) are chosen without that fold too, so that the bound
    holds in expectation: noise measures about 0, never more. q leaves one part in m + 1 of its probability
    (m training rows) to all classes alike, so that no one row can sink the mean.

    Folds are stratified and always the same. A probe of d > m columns is fitted exactly in the m coordinates
    that its training rows span: 100,000 columns cost one matrix product a fold. The standard error is that of
    the held-out terms; it leaves out that the folds share training rows.

    Raises:
        ValueError: nan or inf, an empty or mismatched input, floating labels, folds outside 2..n, or fewer
            than two rows in every class.

    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> round(linear_probe_bound(x, (x[:, 0] > 0).long()).nats, 1)
    0.6
    """
    matrix = as_matrix(x, "x")
    y = as_labels(labels).to(matrix.device)
    check_same_number(matrix, y, "x", "labels")
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= len(y):
        raise ValueError(f"folds must be in 2..n, got folds = {folds!r} with n = {len(y)}")
    classes, sizes = as_classes(y)
    kept = sizes[classes] > 1
    alone = int((~kept).sum())
    if alone == len(y):
        raise ValueError(f"labels must repeat, got {len(y)} rows with {len(y)} different labels")
    if alone:
        matrix = matrix[kept]
        classes, sizes = as_classes(y[kept])
    parts = _stratified_parts(classes, folds)
    gain = torch.empty(len(matrix), dtype=torch.float64, device=matrix.device)
    means, factors = _scales(matrix, parts, folds)
    for part in range(folds):
        train, test = (parts != part).nonzero()[:, 0], (parts == part).nonzero()[:, 0]
        if len(test):
            seen, unseen = _coordinates(matrix, train, test, means[part], factors[part])
            gain[test] = _held_out_gain(seen, classes[train], unseen, classes[test], len(sizes))
    target_entropy = entropy(classes)
    terms = gain - (sizes.double() / len(classes)).log()[classes]
    std_error = float(terms.std() / len(terms) ** 0.5)
    warnings = (left_out(alone),) if alone else ()
    return Estimate(
        float(terms.mean()), std_error, "linear-probe", len(terms), 0, "", target_entropy, warnings
    )


def _stratified_parts(classes: Int[Tensor, " n"], count: int) -> Int[Tensor, " n"]:
    """Part 0..count-1 of each row; parts differ by at most one row, in size and in each class."""
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0)).to(classes.device)
    order = order[torch.argsort(classes[order], stable=True)]
    parts = torch.empty_like(classes)
    parts[order] = torch.arange(len(classes), device=classes.device) % count
    return parts


def _scales(
    x: Float[Tensor, "n d"], parts: Int[Tensor, " n"], count: int
) -> tuple[Float[Tensor, "count d"], Float[Tensor, "count d"]]:
    """Mean of each column without each part, and the factor that gives rows a mean square of 1."""
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
        # A column that is constant without the part leaves only the rounding of this difference.
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
    """The scaled rows in r <= min(m, d) coordinates, uncorrelated over the training rows.

    They are the training rows' principal axes, none left out, so a ridge fit in them is the fit in x. Wider
    rows than there are take them from the rows' products: with K = Z Z' = U S U' they are U S^1/2, and those
    of another row z are z Z' U S^-1/2.
    """
    if x.shape[1] <= len(train):
        seen, unseen = ((x[rows].double() - mean) * factor for rows in (train, test))
        _, axes = torch.linalg.eigh(seen.T @ seen)
        return seen @ axes, unseen @ axes
    order, m = torch.cat([train, test]), len(train)
    products = torch.zeros(len(order), m, dtype=torch.float64, device=x.device)
    step = max(64, -(-m // 4))
    for chunk, columns in column_chunks(x):
        # Entries of scaled columns are of one size: products in float32 lose nothing that the ridge keeps.
        scaled = ((chunk[order] - mean[columns]) * factor[columns]).float()
        for start in range(0, m, step):
            stop = min(start + step, m)
            products[start:, start:stop] += scaled[start:] @ scaled[start:stop].T
    # eigh reads the lower half, and only that half was computed.
    values, vectors = torch.linalg.eigh(products[:m])
    kept = values > _RANK_TOLERANCE * values[-1].clamp(min=1e-300)
    root, vectors = values[kept].sqrt(), vectors[:, kept]
    return vectors * root, products[m:] @ (vectors / root)


def _held_out_gain(
    seen: Float[Tensor, "m r"],
    seen_classes: Int[Tensor, " m"],
    unseen: Float[Tensor, "t r"],
    unseen_classes: Int[Tensor, " t"],
    count: int,
) -> Float[Tensor, " t"]:
    """Log-probability of the unseen rows' classes; strength and factor are chosen among the seen rows."""
    inner = _stratified_parts(seen_classes, _INNER_FOLDS)
    splits = [(inner != part, inner == part) for part in range(_INNER_FOLDS)]
    paths = [softmax_regression_path(seen[fit], seen_classes[fit], count, _STRENGTHS) for fit, _ in splits]
    # The class shares alone, unless a probe is better by more than the two numbers it takes to choose one.
    shares = torch.bincount(seen_classes, minlength=count).double() / len(seen)
    best, lowest, worse = (_STRENGTHS[0], 0.0), -float(shares[seen_classes].log().sum()) - _WORTH, 0
    for strength in _STRENGTHS:
        losses = torch.zeros(len(_FACTORS), dtype=torch.float64, device=seen.device)
        for (fit, check), path in zip(splits, paths, strict=True):
            scores = _scores(next(path), seen[check])
            for index, factor in enumerate(_FACTORS):
                gain = _log_probability(scores, factor, seen_classes[check], int(fit.sum()))
                losses[index] -= gain.sum()
        if float(losses.min()) < lowest:
            best, lowest, worse = (strength, _FACTORS[int(losses.argmin())]), float(losses.min()), 0
        elif best[1] > 0 and (worse := worse + 1) == 2:
            break
    (weights,) = softmax_regression_path(seen, seen_classes, count, [best[0]])
    return _log_probability(_scores(weights, unseen), best[1], unseen_classes, len(seen))


def _scores(
    weights: Float[Tensor, "r_plus_1 count"], features: Float[Tensor, "t r"]
) -> tuple[Float[Tensor, "t count"], Float[Tensor, " count"]]:
    """What the features add to each class, and what each class has without them."""
    return features @ weights[:-1], weights[-1]


def _log_probability(
    scores: tuple[Tensor, Tensor], factor: float, classes: Int[Tensor, " t"], trained_on: int
) -> Float[Tensor, " t"]:
    slopes, intercepts = scores
    own = (factor * slopes + intercepts).softmax(1).gather(1, classes[:, None])[:, 0]
    return ((own * trained_on + 1 / len(intercepts)) / (trained_on + 1)).log()
