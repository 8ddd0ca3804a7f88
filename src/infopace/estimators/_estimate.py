"""What an estimator returns."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Caution:
    """Something that a reader must know before believing a number.

    Attributes:
        kind: For programs: "inside-noise", "few-rows", "left-out", "constant", "dead-columns" or "beyond-reach".
        sentence: For people, with the numbers and what to do.
    """

    kind: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Estimate:
    """One estimate of mutual information, in nats, and how it was made.

    Attributes:
        nats: The raw value. A consistent estimator scatters around the truth, so where the truth is 0 it
            may be slightly negative; see `clipped`.
        std_error: Standard error of `nats` (sampling noise of the n rows), nan where it was not computed.
        method: The estimator: a word that `mutual_information` takes, "decoder" or "frenzel-pompe".
        n: Rows that entered the estimate.
        k: Neighbours; 0 for methods without neighbours.
        norm: Norm inside a block, "euclidean" or "chebyshev"; "" for methods without distances.
        ceiling: H(Y) in nats of the same rows for labels, inf for continuous targets.
        warnings: What a reader must know before believing the number.
        p_value: Probability of a value at least this large were x and y independent, by permutation; nan
            where it was not asked for.
        choice: Which estimator was taken and why, in a sentence; empty where the caller named it.
    """

    nats: float
    std_error: float
    method: str
    n: int
    k: int
    norm: str
    ceiling: float
    warnings: tuple[Caution, ...] = ()
    p_value: float = math.nan
    choice: str = ""

    @property
    def clipped(self) -> float:
        """`nats` clipped to [0, ceiling], the range that mutual information can take."""
        return min(max(self.nats, 0.0), self.ceiling)
