"""What an estimator returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from infopace.estimators._student import two_sided_quantile


@dataclass(frozen=True)
class Caution:
    """What a reader must know before believing a number.

    Attributes:
        kind: For programs: "inside-noise", "few-examples", "left-out", "missing", "constant", "dead-columns",
            "repeated", "copied", "dominated", "many-labels", "sparse-table" or "beyond-reach".
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
        nats: The raw value. It scatters around the truth, so where the truth is 0 it may be slightly negative; see
            `clipped`.
        std_error: Standard error of `nats` (sampling noise of the n examples); nan where it was not computed.
        method: The estimator: a word that `mutual_information` takes, "decoder", "usable" or "frenzel-pompe".
        n: Examples that entered the estimate.
        k: Neighbours; 0 for methods without neighbours.
        norm: Norm inside a block, "euclidean" or "chebyshev"; "" for methods without distances.
        ceiling: The most that I(X;Y) can be, in nats. For labels it is H(Y) of the same examples, for continuous
            targets inf. For two sets of labels it is the smaller entropy, corrected as the value is.
        warnings: What a reader must know before believing the number.
        p_value: Probability of a value at least this large if x and y were independent, by permutation; nan where it
            was not asked for.
        choice: Which estimator was taken and why, in one sentence; "" where the caller named it.
        bias: Bias of `nats` that the data show, below 0 where the value is too low. For neighbours it comes from parts
            of the sample, where neighbours are farther apart. For sparse tables it comes from corrections that
            disagree. 0 for formulas without neighbours and for bounds, which have nothing to show it by. nan where it
            was not computed. -inf where n examples cannot resolve the dependence: the information is then at least
            `nats`, with no upper limit. The bias is too noisy to correct a value with. For usable information: what a
            fit on half of the examples costs, and how far frequencies may have scattered.
        freedom: Degrees of freedom of `std_error`; inf where it does not come from a few parts. For usable information
            n - 1.
        pointwise: (n,) what each example that entered contributes; the mean is `nats`. Two measurements on the same
            examples are best compared by the differences of these, whose error is far smaller than `std_error`. None
            where the method gives none.
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

        t is the 97.5 % quantile of Student's distribution. A value without bias lies in the middle. A value that the
        parts show to be too low gets room above, and loses none below.

        With a bias b of known size only one end can fail, and 1.645 standard errors beyond nats - b would do. But b
        comes from the same examples and moves against the value. So nats - b was 1.1 to 1.3 times as noisy as nats
        (five known cases, studies/interval_coverage/run.py), and 1.2 x 1.645 = 1.97 again.

        The interval is raw like `nats`. The low end may be negative and the high end above the ceiling. I(X;Y) is in
        [0, ceiling], so cutting the interval to that range costs no coverage. An interval wholly outside the range
        shows that something is wrong.

        For a bound (linear-probe, decoder, mine, infonce, smile) it is the interval of the bound, and information may
        be above it. With the caution "beyond-reach" it does not hold. In many columns it covers too seldom even
        before that, because the bias shrinks more slowly than its parts assume (two classes in 20 columns,
        docs/results.md).
        """
        reach = two_sided_quantile(self.freedom) * self.std_error
        if math.isnan(self.bias):
            return math.nan, math.nan
        return self.nats - max(self.bias, 0.0) - reach, self.nats - min(self.bias, 0.0) + reach

    @property
    def clipped(self) -> float:
        """`nats` clipped to [0, ceiling], the range that mutual information can take."""
        return min(max(self.nats, 0.0), self.ceiling)
