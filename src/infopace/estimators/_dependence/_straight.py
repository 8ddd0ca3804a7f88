"""Columns of a block that are bent by its other columns, made straight: a map of the block that loses nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Float
from infopace.estimators._dependence._scores import normal_scores, uniform_scores

# Waves of the column that bends, beside its first three powers; and those of the spread.
_WAVES, _SPREAD_WAVES = 10, 4
# A bend counts from so many standard errors and from such a gain in the log of the variance on.
_CLEAR, _LEAST = 4.0, 0.02
# With fewer examples bends are noise. In more columns their search takes longer than the rest.
_FEWEST, _MOST_COLUMNS = 200, 50
# Bends are taken back at most so often a column, on average.
_TIMES = 3


@dataclass(frozen=True)
class _Basis:
    """Functions of one column, orthonormal: a constant and a line first, then all.

    Attributes:
        all: (n, f).
        kept: (n,) what an example's own value keeps of its error, 1 less its leverage.
        line: The first two.
        kept_by_line: The same of them.
    """

    all: Tensor
    kept: Tensor
    line: Tensor
    kept_by_line: Tensor

    def fitted(self, values: Tensor) -> Tensor:
        """The functions' fit to values (n,) or (n, d)."""
        return self.all @ (self.all.T @ values)

    def gain(self, z: Tensor) -> Tensor:
        """(d,) by how much the log variance of z (n, d) falls, each example left out; 0 where it is not clear."""
        bent = ((z - self.fitted(z)) / self.kept[:, None]).square()
        straight = ((z - self.line @ (self.line.T @ z)) / self.kept_by_line[:, None]).square()
        less = straight - bent
        clear = less.mean(0) > _CLEAR * less.std(0) / math.sqrt(len(z))
        gain = torch.log(straight.mean(0) / bent.mean(0))
        return torch.where(clear & (gain > _LEAST), gain, 0.0)


def straightened(u: Float[Tensor, "n d"]) -> Float[Tensor, "n d"] | None:
    """The uniform scores of a block whose bends are taken back; None where there are none.

    A map of a block that can be taken back leaves its information as it is. Here the normal score z_j of a column
    becomes (z_j - f(z_i)) / s(z_i) and its rank, for the pair of columns whose f explains most beyond a line, as often
    as one explains something clearly. f is a sum of three powers and of waves of z_i, log s one of waves. The other
    block takes no part in it, so no dependence can come from the choice.
    """
    n, d = u.shape
    if n < _FEWEST or not 2 <= d <= _MOST_COLUMNS:
        return None
    z = normal_scores(u)
    bases = [_basis(column, _WAVES) for column in u.T]
    gains = torch.stack([basis.gain(z) for basis in bases]).fill_diagonal_(0.0)
    if float(gains.max()) == 0:
        return None
    for _ in range(_TIMES * d):
        i, j = divmod(int(gains.argmax()), d)
        if float(gains[i, j]) == 0:
            break
        rest = z[:, j] - bases[i].fitted(z[:, j])
        spread = _basis(torch.special.ndtr(z[:, i]), _SPREAD_WAVES).fitted(torch.log(rest.abs() + 1e-3))
        column = uniform_scores((rest / torch.exp(spread))[:, None])
        z[:, j] = normal_scores(column)[:, 0]
        bases[j] = _basis(column[:, 0], _WAVES)
        gains[j] = bases[j].gain(z)
        gains[:, j] = torch.stack([basis.gain(z[:, j : j + 1])[0] for basis in bases])
        gains.fill_diagonal_(0.0)
    return torch.special.ndtr(z)


def _basis(u: Tensor, waves: int) -> _Basis:
    z = torch.special.ndtri(u)
    parts = [z**power for power in range(4)]
    parts += [torch.cos(math.pi * m * u) for m in range(1, waves + 1)]
    all_ = torch.linalg.qr(torch.stack(parts, 1))[0]
    line = all_[:, :2]
    return _Basis(all_, 1 - all_.square().sum(1), line, 1 - line.square().sum(1))
