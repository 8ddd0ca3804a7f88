"""The rule of Algorithm 2 (Vasudevan 2020): a table of learning rates -> bounds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from infopace.policies import Bounds
from infopace.range_test._records import Trial
from infopace.range_test._refusal import RangeTestError
from infopace.range_test._table import relative_changes
from infopace.range_test._values import value_of


def paper_bounds(
    trials: Sequence[Trial], attribute: str, c1: float, c2: float, layer: str = "output"
) -> Bounds:
    """Bounds from trials, each rate's values averaged over the trials that completed it.

        d1n = final - initial value of a rate           MAXVAL = best final value, Thresh = MAXVAL / C1
        dnn = MAXVAL - final value of a rate
        LR_top   the rate of MAXVAL
        LR_min   the smallest rate with d1n >= Thresh
        LR_max   the smallest rate above LR_top with dnn >= Thresh for it and all larger ones; if there is none,
                 the largest that was completed
        epsilon  C2 * median over rates of min(ds), ds the relative change of information from look to look

    *Readings*: of rates with equal values the smaller is LR_top. Where the median of min(ds) is not positive
    (information fell somewhere at most rates) its absolute value stands in, and where it is 0 (information stood still)
    the default of `Bounds`. The loss counts by what it has fallen.

    Raises:
        RangeTestError: every rate crashed; no rate gained Thresh; the best rate is the smallest or the largest of
            the candidates, so that the best may lie outside.
    """
    rates = sorted({c.lr for trial in trials for c in trial.candidates})
    done = {lr: found for lr in rates if (found := [c for t in trials for c in t.completed if c.lr == lr])}
    if not done:
        raise RangeTestError(
            "crashed", f"every candidate crashed, the smallest at {rates[0]:g}; start from smaller rates"
        )
    values = {
        lr: (
            fmean(value_of(c.first, c.first, attribute, layer) for c in found),
            fmean(value_of(c.last, c.first, attribute, layer) for c in found),
        )
        for lr, found in done.items()
    }
    best = max(final for _, final in values.values())
    top = min(lr for lr, (_, final) in values.items() if final == best)
    threshold = best / c1
    learning = [lr for lr, (initial, final) in values.items() if final - initial >= threshold > 0]
    if not learning:
        gained = max(final - initial for initial, final in values.values())
        raise RangeTestError(
            "nothing-learned",
            f"no rate gained {threshold:.3g} of {attribute} ({best:.3g} / C1 = {c1:g}), at most {gained:.3g}; "
            "train each candidate longer or raise the rates",
        )
    check_inside(top, rates)
    above = [lr for lr in values if lr > top]
    falling = [
        lr for lr in above if all(best - values[larger][1] >= threshold for larger in above if larger >= lr)
    ]
    changes = median(
        fmean(min(relative_changes(c.looks, layer), default=1.0) for c in found) for found in done.values()
    )
    return Bounds(
        lr_min=min(min(learning), top),
        lr_max=min(falling) if falling else max(values),
        lr_top=top,
        epsilon=abs(c2 * changes) or Bounds(1.0, 1.0).epsilon,
    )


def check_inside(top: float, rates: Sequence[float]) -> None:
    """Refuse a best rate at the edge of those that were tried."""
    if top in (rates[0], rates[-1]):
        edge = "smallest" if top == rates[0] else "largest"
        raise RangeTestError(
            "narrow",
            f"the range is too narrow: the best rate, {top:g}, is the {edge} candidate of "
            f"{rates[0]:g}..{rates[-1]:g}, so a better one may lie outside; widen the range",
        )
