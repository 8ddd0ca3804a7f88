"""Means with intervals, and paired tests that know how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

# Not scipy.stats, which takes a second to import, and every command would wait for it.
from scipy.special import stdtr, stdtrit


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean by Student's t; None of fewer than two values.

    >>> [round(end, 3) for end in interval([1.0, 2.0, 3.0])]
    [-0.484, 4.484]
    """
    if len(values) < 2:
        return None
    half = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def paired_p(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Two-sided p-value of the paired t-test; None of fewer than two pairs.

    Differences that are all the same leave nothing to chance: 1 where they are 0, else 0.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    if len(differences) < 2:
        return None
    if max(differences) == min(differences):
        return 1.0 if differences[0] == 0 else 0.0
    t = fmean(differences) / (stdev(differences) / math.sqrt(len(differences)))
    return 2 * float(stdtr(len(differences) - 1, -abs(t)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) correction, None where there was no test.

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
