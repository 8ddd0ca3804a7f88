"""Mutual information between two label variables whose table has few examples a cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Int
from infopace.estimators._error_bar import ErrorBar
from infopace.estimators._inputs import as_classes
from infopace.estimators._permutation import permutation_null
from infopace.estimators._student import two_sided_quantile

# With a larger share of examples alone in their cell the Miller-Madow correction leaves a bias beyond the noise:
# studies/sparse_tables/run.py.
_SPARSE = 0.02
_GROUPS = 20
_NULL = 20
# A difference counts from 2.5 of its standard deviations on, as in `calibrated`.
_CLEAR = 2.5
# Pairs of examples with the same label. Only those that also share the other label show dependence.
_FEWEST_TWINS = 10
# Cells with a larger expected count take the first terms of the series. For the others, terms at a time.
_SERIES, _CHUNK = 50.0, 1 << 21


@dataclass(frozen=True)
class Adjusted:
    """An adjusted value with its error bar, and the smaller entropy, corrected for labels that have not occurred."""

    nats: float
    error: ErrorBar
    ceiling: float


def alone_in_cell(x: Int[Tensor, " n"], y: Int[Tensor, " n"]) -> int:
    """Examples whose pair of labels occurs once."""
    return int((_Table.of(x, y).cells == 1).sum())


def is_sparse(alone: int, n: int) -> bool:
    """Whether too many of the n examples are alone in their cell for the Miller-Madow correction."""
    return alone > max(1, _SPARSE * n)


def raw_information(x: Int[Tensor, " n"], y: Int[Tensor, " n"]) -> float:
    """sum_ab p_ab ln(p_ab / (p_a p_b)) in nats, uncorrected. It ranks permutations as any correction does."""
    return _Table.of(x, y).raw


def adjusted_information(x: Int[Tensor, " n"], y: Int[Tensor, " n"], error_bar: bool = True) -> Adjusted:
    """Estimate of I(X;Y) in nats for labels x and y with few examples a cell.

        I = A + w (U - A)
        A = H (R - E) / (H_0 - E),    U = H(X) + H(Y) - H(X,Y),    w = C max(0, 1 - (2.5 / z)^2)

    - R is the uncorrected value, and E its mean over all orders of y: what independence shows in this table
      (hypergeometric; Vinh, Epps & Bailey, JMLR 11, 2010, eq. 24). H_0 is the smaller of the uncorrected entropies.
      So A is 0 for independent labels and H for a one-to-one map. It is too low where x leaves many y possible.
    - H(.) adds the labels that the singletons predict to those that occur (Chao, Wang & Jost, Methods Ecol. Evol. 4,
      2013, eq. 7). So U is right where most pairs have occurred, and too high before that. H without argument is the
      smaller of H(X) and H(Y).
    - C = 1 - (pairs that occur once) / n is the share of pairs that have occurred (Good 1953). z is R - E in standard
      deviations of R under permutation.

    Where fewer than 10 pairs of examples share their x, or their y, the table cannot show dependence, and A is 0.

    The standard error is a jackknife over 20 groups. The nearer of A and U adds to it, and the farther is the bias. So
    the interval covers both.
    """
    table = _Table.of(x, y)
    expected = expected_information(table.rows, table.columns)
    shown = table.least > 0 and min(_twins(table.rows), _twins(table.columns)) >= _FEWEST_TWINS
    share = expected / table.least if shown else 1.0
    low, high, ceiling = table.ends(share)
    null = permutation_null(lambda order: raw_information(x, y[order.to(y.device)]), max(2, len(x)), _NULL)
    spread, beyond = float(null.std()), table.raw - expected
    clear = max(0.0, 1 - (_CLEAR * spread / beyond) ** 2) if beyond > 1e-12 else 0.0
    weight = (1 - int((table.cells == 1).sum()) / len(x)) * clear
    nats = low + weight * (high - low)
    if not error_bar:
        return Adjusted(nats, ErrorBar(), ceiling)
    groups = min(_GROUPS, len(x))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1)).to(x.device)
    values = []
    for group in range(groups):
        kept = torch.ones(len(x), dtype=torch.bool, device=x.device)
        kept[order[group::groups]] = False
        without = _Table.of(x[kept], y[kept]).ends(share)
        values.append(without[0] + weight * (without[1] - without[0]))
    noise = (groups - 1) * float(torch.tensor(values, dtype=torch.float64).var(unbiased=False))
    freedom = float(groups - 1)
    near, far = sorted((low - nats, high - nats), key=abs)
    reach = abs(near) / two_sided_quantile(freedom)
    return Adjusted(nats, ErrorBar(min(math.sqrt(noise + reach**2), ceiling), -far, freedom), ceiling)


def expected_information(rows: Int[Tensor, " r"], columns: Int[Tensor, " c"]) -> float:
    """Mean over all orders of y of the uncorrected value, in nats, for labels of these sizes.

        E = sum_ab sum_k (k / n) ln(n k / (a b)) Hypergeometric(k; n, a, b)

    Equal sizes are computed once. Where a b / n is above 50, the inner sum is

        (v / (2 m) - t / (6 m^2) + v^2 / (4 m^3)) / n

    with m, v and t the mean, variance and third moment of k. Source: Vinh, Epps & Bailey, JMLR 11, 2010, eq. 24.

    >>> round(expected_information(torch.tensor([2, 2]), torch.tensor([2, 2])), 4)  # 1/3 of the orders show ln 2
    0.231
    """
    n = float(rows.sum())
    a, of_a = (part.double().cpu() for part in torch.unique(rows, return_counts=True))
    b, of_b = (part.double().cpu() for part in torch.unique(columns, return_counts=True))
    weights = (of_a[:, None] * of_b).flatten()
    a, b = a.repeat_interleave(len(b)), b.repeat(len(a))
    mean = a * b / n
    many = mean > _SERIES
    variance = mean * (1 - a / n) * (1 - b / n) * n / max(1.0, n - 1)
    third = variance * (1 - 2 * a / n) * (1 - 2 * b / n) * n / max(1.0, n - 2)
    series = variance / (2 * mean) - third / (6 * mean**2) + variance**2 / (4 * mean**3)
    total = float((weights * series / n)[many].sum())
    few = (~many).nonzero().squeeze(1)
    # Beyond 12 standard deviations the probabilities are below 1e-20.
    longest = int(_SERIES + 12 * math.sqrt(_SERIES) + 20)
    for part in few.split(max(1, _CHUNK // longest)) if len(few) else ():
        p, q, m = a[part, None], b[part, None], mean[part, None]
        top = torch.minimum(torch.minimum(p, q), m + 12 * m.sqrt() + 20)
        k = torch.arange(1.0, float(top.max()) + 1, dtype=torch.float64)
        possible = (k <= top) & (k >= p + q - n)
        rest = torch.where(possible, n - p - q + k, 0.0)
        log_p = _log_factorial(p) + _log_factorial(q) + _log_factorial(n - p) + _log_factorial(n - q)
        log_p = log_p - _log_factorial(torch.tensor(n, dtype=torch.float64)) - _log_factorial(k)
        log_p = log_p - _log_factorial((p - k).clamp(min=0)) - _log_factorial((q - k).clamp(min=0))
        terms = k / n * (k / m).log() * (log_p - _log_factorial(rest)).exp()
        total += float((weights[part] * torch.where(possible, terms, 0.0).sum(1)).sum())
    return total


def chao_entropy(sizes: Int[Tensor, " classes"]) -> float:
    """Entropy in nats of classes of these sizes, and of the classes that have not occurred.

        H = sum_c (N_c / n)(psi(n) - psi(N_c)) + f_1 / n (1 - A)^(1 - n) ( -ln A - sum_{r < n} (1 - A)^r / r )
        A = 2 f_2 / ((n - 1) f_1 + 2 f_2),  or 2 / ((n - 1)(f_1 - 1) + 2) where f_2 = 0

    f_1 and f_2 are the numbers of classes with one and with two examples. Source: Chao, Wang & Jost, Methods in
    Ecology and Evolution 4, 2013, eq. 7.
    """
    n, sizes = int(sizes.sum()), sizes.double()
    psi_n = torch.digamma(torch.tensor(float(n), dtype=torch.float64, device=sizes.device))
    occurred = float((sizes / n * (psi_n - torch.digamma(sizes))).sum())
    once, twice = int((sizes == 1).sum()), int((sizes == 2).sum())
    if once == 0 or n < 2:
        return occurred
    a = 2 * twice / ((n - 1) * once + 2 * twice) if twice else 2 / ((n - 1) * (once - 1) + 2)
    if a >= 1:
        return occurred
    # The bracket with its factor is (1 - A) int_0^1 t^(n-1) / (1 - (1 - A) t) dt, whose terms all have one sign. With
    # t = exp(-s / n) the trapezoid rule in ln s computes it.
    u = torch.linspace(-45, 6.6, 2001, dtype=torch.float64)
    s = u.exp()
    others = (
        float((s * (-s).exp() / -torch.expm1(math.log1p(-a) - s / n)).sum() * (u[1] - u[0])) * (1 - a) / n
    )
    return occurred + once / n * others


def _log_factorial(value: Tensor) -> Tensor:
    return torch.lgamma(value + 1)


@dataclass(frozen=True)
class _Table:
    """Numbers of examples in the cells, rows and columns that occur."""

    cells: Int[Tensor, " cells"]
    rows: Int[Tensor, " rows"]
    columns: Int[Tensor, " columns"]

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> _Table:
        row, rows = as_classes(x)
        column, columns = as_classes(y)
        return cls(as_classes(row * len(columns) + column)[1], rows, columns)

    @property
    def raw(self) -> float:
        return max(0.0, _entropy(self.rows) + _entropy(self.columns) - _entropy(self.cells))

    @property
    def least(self) -> float:
        return min(_entropy(self.rows), _entropy(self.columns))

    def ends(self, share: float) -> tuple[float, float, float]:
        """(A, U, H) of `adjusted_information`, where the expected value is this share of the smaller entropy."""
        h_x, h_y, h_xy = map(chao_entropy, (self.rows, self.columns, self.cells))
        least, ceiling = self.least, min(h_x, h_y)
        low = (
            ceiling * (self.raw - share * least) / (least * (1 - share))
            if share < 1 - 1e-9 and least
            else 0.0
        )
        return low, min(max(h_x + h_y - h_xy, 0.0), ceiling), ceiling


def _twins(sizes: Tensor) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _entropy(sizes: Tensor) -> float:
    shares = sizes.double() / sizes.sum()
    return float((shares * shares.log()).sum().abs())
