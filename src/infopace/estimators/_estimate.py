"""What an estimator returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from infopace.estimators._student import two_sided_quantile


@dataclass(frozen=True)
class Caution:
    """Something that a reader must know before believing a number.

    Attributes:
        kind: For programs: "inside-noise", "few-rows", "left-out", "missing", "constant", "dead-columns", "repeated",
            "many-labels", "sparse-table" or "beyond-reach".
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
        ceiling: H(Y) in nats of the same rows for labels, inf for continuous targets. For two sets of labels
            the smaller entropy, corrected as the value is.
        warnings: What a reader must know before believing the number.
        p_value: Probability of a value at least this large were x and y independent, by permutation; nan
            where it was not asked for.
        choice: Which estimator was taken and why, in a sentence; empty where the caller named it.
        bias: Bias of `nats` that the data show, below 0 where the value is too low: for neighbours from parts
            of the sample, which lie farther apart; for sparse tables from corrections that disagree; nan where it
            was not computed. 0 where there is nothing to see it by: formulas without neighbours, and bounds. Too
            noisy to correct a value with. -inf where n examples cannot resolve the dependence: the information is at
            least `nats`, with no upper limit.
        freedom: Degrees of freedom of `std_error`; inf where it does not come from a few parts.
        pointwise: (n,) what each of the rows that entered contributes: their mean is `nats`. Two looks at the same rows
            are compared by its differences, whose error is far smaller than `std_error`. None where the method
            gives none.
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
    bias: float = 0.0
    freedom: float = math.inf
    pointwise: Tensor | None = field(default=None, repr=False, compare=False)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (low, high) in nats; nan where no error was computed.

            low = min(nats, nats - bias) - t std_error,    high = max(nats, nats - bias) + t std_error

        t is the 97.5 % quantile of Student's distribution. A value without bias lies in the middle; one that
        the parts show to be too low is given room above, and loses none below, where it is safe. With a bias
        b of known size one end only can fail, and 1.645 standard errors beyond nats - b would do. But b is
        read off the same rows and moves against the value: nats - b was 1.1 to 1.3 times as noisy as nats
        (five known cases, studies/interval_coverage/run.py), and 1.2 x 1.645 = 1.97 again.

        Raw like `nats`: the low end may be negative and the high end above the ceiling, and an interval wholly
        outside says that something is wrong. I(X;Y) is in [0, ceiling], so cutting the interval to that range
        costs no coverage. Of a bound (linear-probe, decoder, mine, infonce, smile) it is the interval of the
        bound: information may be above it. It does not hold beyond reach (caution "beyond-reach"), and covers too
        seldom in many columns before that, where the bias shrinks more slowly than its parts assume (two
        classes in 20 columns, docs/results.md).
        """
        reach = two_sided_quantile(self.freedom) * self.std_error
        if math.isnan(self.bias):
            return math.nan, math.nan
        return self.nats - max(self.bias, 0.0) - reach, self.nats - min(self.bias, 0.0) + reach

    @property
    def clipped(self) -> float:
        """`nats` clipped to [0, ceiling], the range that mutual information can take."""
        return min(max(self.nats, 0.0), self.ceiling)
