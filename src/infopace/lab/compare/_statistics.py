"""Means with intervals, and paired tests corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Differences whose spread is within rounding are one and the same.
_ROUNDING = 1e-13


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean by Student's t; None for fewer than two values.

    >>> [round(end, 3) for end in interval([1.0, 2.0, 3.0])]
    [-0.484, 4.484]
    """
    from scipy import stats  # takes a second to import, and every command would wait for it

    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(stats.sem(values))
    if error == 0:
        return mean, mean
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def paired_p(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Two-sided p-value of the paired t-test; None for fewer than two pairs.

    Differences that are all the same have no spread to test against: p is 1 where they are 0, else 0.
    """
    from scipy import stats

    differences = np.subtract(ours, theirs)
    if len(differences) < 2:
        return None
    largest = float(np.abs(differences).max())
    if float(np.ptp(differences)) <= _ROUNDING * largest:
        return 0.0 if largest else 1.0
    return float(stats.ttest_rel(ours, theirs).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The correction of Holm (1979), None where there was no test. scipy has none of its own.

    The m p-values in ascending order become max over j <= i of min(1, (m - j + 1) p_(j)).

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[i] = highest
    return corrected
