"""Usable information of a ridge regression: what the outputs of a layer say about targets when read linearly."""

from __future__ import annotations

import math
from typing import Any

import torch

from infopace._checks import check_choice, whole
from infopace.estimators._estimate import Caution, Estimate
from infopace.estimators._ridge_fit import Coordinates
from infopace.estimators._ridge_heads import of_quantities, of_shares
from infopace.estimators._ridge_inputs import KINDS, read
from infopace.estimators._student import two_sided_quantile
from infopace.estimators._usable_kinds import IGNORED

_EXACT = "in {} column{} predictions are as good as rounding allows: the value is at least this, with no upper limit"


def ridge_information(
    x: Any, targets: Any, mask: Any = None, *, kind: str = "auto", ignore_index: int = IGNORED
) -> Estimate:
    """Usable information of a ridge regression on layer outputs x about targets of any kind, in nats, by examples.

        I = < ln q_-i(y_i | x_i) - ln p(y_i) >,    q_-i(c) ~ p_c exp((f_-i,c - p_-i,c) / T)

    Here f is the ridge regression of the labels (as numbers 0 and 1) that was fitted without example i, and p are the
    class frequencies. The fit without each example follows from the hat matrix of the whole fit, exactly (Golub, Heath
    & Wahba, Technometrics 21, 1979). So one decomposition gives all n fits, and nothing is random. The mean is a
    V-information (Xu et al., ICLR 2020, arXiv:2002.10689): that of a linear reader which learns from n - 1 examples.
    It is a lower bound of I(X;Y) in expectation, 0 for outputs that say nothing, and hardly ever below. Unlike I(X;Y)
    it may grow from a layer to a deeper one, which makes linear what was not.

    Two numbers are chosen, the strength of the penalty and one temperature T (Guo et al., ICML 2017). Those of an
    example are the ones that are best for all other examples. No prediction loses more than ln n.

    With more columns than examples the fit is made from the products of the examples, the same fit. It then costs one
    product, n^2 d, and one decomposition, n^3: about as much as two matrix products of 1,000 examples by 8,192 columns.

    Kinds, for n examples. `kind` names one; "auto" goes by dtypes and shapes:

    - "classes": one label an example (n,), of any hashable kind.
    - "positions": whole-number targets (n, T) or (n, d1, ..), x (n, T, d) or (n, d, d1, ..): a vector for each
      position. All positions of an example are left out together, and are averaged. Of very many positions some are
      used, always the same.
    - "multi-label": targets (n, L) of 0 and 1. Each label has its own frequency, and the terms of all are summed.
    - "soft": targets (n, C), non-negative, of sum 1.
    - "regression": floating targets (n, ..). q is a Gaussian around the prediction, and p one around the mean, both
      without the example and with the mean square of the others' residuals. Columns (n, d) are summed, positions of
      three dimensions or more are averaged.

    Args:
        x: (n, ...) floating outputs of a layer; trailing dimensions are flattened, except for positions. Rotating
            them, a common factor and a number added to a column change nothing; a factor on one column does.
        targets: The targets, as above.
        mask: (n, ..) the positions that count, True or 1; only for positions. An example without one is left out.
        kind: One of the words above, or "auto".
        ignore_index: Whole-number targets of positions that never count.

    Returns:
        An estimate with `pointwise`. The standard error is that of the examples' terms. It ignores that the fits share
        examples. Its ceiling is the entropy of the targets (inf for regression). Its cautions are "constant",
        "left-out", "dead-columns" (constant columns of the targets), "beyond-reach" (exact predictions of quantities)
        and "inside-noise".

    Raises:
        OutOfRangeError: nan, inf or numbers too large.
        ValueError: shapes that do not fit, one class only, constant targets, fewer than 4 examples.

    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> round(ridge_information(x, (x[:, 0] > 0).long()).nats, 1)
    0.7
    """
    check_choice("kind", kind, ("auto", *KINDS))
    case = read(x, targets, mask, kind, whole("ignore_index", ignore_index))
    cautions = list(case.cautions)
    if bool((case.x == case.x[:1]).all()):
        cautions.append(Caution("constant", "x is constant: it carries no information"))
    fit = Coordinates.of(case.x, case.example)
    example = torch.arange(len(case.x), device=case.x.device) if case.example is None else case.example
    if case.labels is None:
        assert case.quantities is not None, "targets are labels or quantities"
        terms, exact = of_quantities(fit, case.quantities, example, case.product)
    else:
        terms, exact = of_shares(fit, case.labels, example, case.product), 0
    if exact:
        cautions.append(Caution("beyond-reach", _EXACT.format(exact, "s" if exact > 1 else "")))
    n = len(terms)
    nats, std_error = float(terms.mean()), math.sqrt(float(terms.var()) / n)
    low = nats - two_sided_quantile(n - 1.0) * std_error
    if low <= 0:
        sentence = f"the lower end of the 95 % interval is {low:.2g} nats: no information is shown"
        cautions.append(Caution("inside-noise", sentence))
    return Estimate(
        nats,
        std_error,
        "ridge",
        n,
        0,
        "",
        case.ceiling,
        tuple(cautions),
        choice=f"kind {case.kind!r}, each example left out of its fit",
        bias=-math.inf if exact else 0.0,
        freedom=float(n - 1),
        pointwise=terms,
    )
