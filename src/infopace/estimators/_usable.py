"""Usable information: what a decoder's own probabilities give about targets of any kind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from infopace._checks import flag
from infopace.estimators._cautions import noise
from infopace.estimators._estimate import Estimate
from infopace.estimators._usable_classes import of_classes
from infopace.estimators._usable_kinds import IGNORED, Classified, read
from infopace.estimators._usable_regression import of_quantities

# What fitting one half and judging the other costs is -1.5 A + 0.5 B, in units of its mean, with A and B chi-square of
# one degree of freedom. Two of these errors below the mean is its 2.5 % quantile.
_FITTED = 3


def usable_information(
    scores: Any,
    targets: Any,
    mask: Any = None,
    *,
    kind: str = "auto",
    ignore_index: int = IGNORED,
    sharpen: bool = True,
) -> Estimate:
    """Usable information of a decoder's scores about targets of any kind, in nats, by examples.

        i = ln q(y|x) - ln p(y)

    q is the decoder's own probability of the target and p the frequency of the class among these examples. The mean
    of i is the V-information of the decoder (Xu et al., ICLR 2020, arXiv:2002.10689), and i its pointwise form
    (Ethayarajh et al., ICML 2022, arXiv:2110.08420). It is 0 for a model that predicts the class frequencies, whatever
    its accuracy, and below 0 for one that predicts worse than they do. It is a lower bound of I(X;Y) in expectation.

    Overconfidence is not read as loss. q is softmax(scores / T). T is fitted on one half of the examples (stratified by
    class) and evaluated on the other, and then the halves are swapped (Guo et al., ICML 2017). What remains of a bad
    scale is 1/n nats on average, which `Estimate.bias` gives. No prediction loses more than ln(M + 1), with M
    predictions in the other half, since q has one part in M + 1 of p. One example with huge logits can still raise T.

    The frequencies of a random sample fit it better than the true ones. A model that predicts the true ones would be
    (C - 1) / (2n) below 0: 0.07 nats for 150 classes and 1,000 examples. A stratified sample has no such gap. So what
    is given back is KL(p || model's mean prediction), up to what sampling explains (two standard deviations beyond
    its mean). The rest of that mean goes to `Estimate.bias`. Where most classes are missing from the sample, the gap is
    larger than the sample shows.

    Kinds, for n examples and C classes. `kind` names one; "auto" goes by dtypes and shapes:

    - "classes": whole-number targets (n,), scores (n, C), or (n,) for the logit of class 1 of two.
    - "tokens": whole-number targets (n, T), scores (n, T, C). Classes last, as in Hugging Face's models.
    - "dense": whole-number targets (n, d1, ..), scores (n, C, d1, ..). Classes second, as in torch's cross-entropy.
      Also targets 0 and 1 of three dimensions or more with scores of equal shape: one logit a position.
    - "multi-label": targets (n, L) of 0 and 1, of any dtype, logits (n, L). Also (n,) floating 0 and 1.
    - "soft": targets (n, C), non-negative, of sum 1, scores (n, C). One-hot targets of any dtype are soft, and equal
      "classes". For more positions the classes are second or last.
    - "regression": floating targets and scores of equal shape (n, ..); (n,) and (n, 1) fit each other.

    "auto" takes targets of the scores' shape as soft if they sum to 1, else as labels if all are 0 or 1, else as
    regression. Tokens and dense targets with T = C look alike and are refused. What was taken is in `choice`.

    Positions of tokens, dense targets and floating targets of three dimensions or more are averaged within their
    example. The labels of multi-label and the columns (n, d) of regression are summed: the decoder is a product, and
    each has its own frequency or mean. Errors are by examples, so positions of one may depend on each other.

    Regression: q is a Gaussian around the prediction. Its variance is the mean squared residual of the other half, so
    it is the temperature, and a constant bias counts against the model. p is the Gaussian with the mean and variance of
    the targets, less what these two gain by fitting this sample. For jointly normal values and the best prediction the
    result is -ln(1 - rho^2) / 2.

    Args:
        scores: Logits or log-probabilities; a factor on them, or a number added to all classes of an example, changes
            nothing. Or probabilities of C >= 2 classes, recognised because they are non-negative and sum to 1. For
            regression the predictions. Any floating dtype and device.
        targets: The targets, as above.
        mask: The positions that count, True or 1, in the targets' shape (without the classes of soft targets) or its
            first dimensions. An example without one is left out, with a caution. nan is no matter where none counts.
        kind: One of the words above, or "auto".
        ignore_index: Whole-number targets that never count.
        sharpen: Whether T may be below 1. If not, outputs that are too cautious count as they are: those of a network
            that has just begun to learn may order the classes long before they say so.

    Returns:
        An estimate with `pointwise`. Its ceiling is the entropy of the targets (inf for regression). Its cautions are
        "left-out", "dead-columns" (constant columns in regression), "beyond-reach" (exact predictions in regression)
        and "inside-noise".

    Raises:
        OutOfRangeError: nan, inf or numbers too large in scores or targets that count.
        ValueError: shapes that do not fit or fit two kinds, labels outside 0..C-1, one class only, constant targets,
            fewer than 4 examples.

    >>> found = usable_information([[3.0, 0.0], [0.0, 3.0]] * 50, [0, 1] * 50)
    >>> round(found.nats, 2), round(found.ceiling, 2)
    (0.67, 0.69)
    >>> round(usable_information([[0.0, 0.0]] * 100, [0, 1] * 50).nats, 6)
    0.0
    """
    kind, case = read(scores, targets, mask, kind, ignore_index)
    sharpen = flag("sharpen", sharpen)
    found = of_classes(case, sharpen) if isinstance(case, Classified) else of_quantities(case)
    n = len(found.pointwise)
    exact = any(caution.kind == "beyond-reach" for caution in found.cautions)
    estimate = Estimate(
        float(found.pointwise.mean()),
        math.sqrt(float(found.pointwise.var()) / n + (_FITTED * found.cost) ** 2),
        "usable",
        n,
        0,
        "",
        found.ceiling,
        tuple(found.cautions),
        choice=f"kind {kind!r}" + (f", {found.note}" if found.note else ""),
        bias=-math.inf if exact else -found.cost - found.short,
        freedom=float(n - 1),
        pointwise=found.pointwise,
    )
    return replace(estimate, warnings=(*estimate.warnings, *noise(estimate.interval)))
