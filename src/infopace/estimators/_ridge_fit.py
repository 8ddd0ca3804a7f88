"""Ridge regressions of targets on layer outputs, and what each predicts of an example that it was fitted without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from infopace._typing import Float, Int
from infopace.estimators._neighbour_search._distances import column_chunks

# Ridge strengths for rows of mean square 1, strong first. At the strongest hardly anything is left of a direction; the
# weakest binds only where there are more columns than rows.
STRENGTHS = tuple(10.0 ** (-half / 2) for half in range(15))
# Rows whose sum of squares about their mean is below this share of that about 0 differ by rounding only.
_ROUNDING = 1e-26
# What is predicted of targets 0 and 1 beyond their mean is rounding below this.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Coordinates:
    """Rows in their principal coordinates, in which every ridge regression is a division.

    Attributes:
        values: (N, r) coordinates G of the centred rows: orthogonal columns.
        squares: (r,) the sum of squares of each column.
        place: (E, P) where the rows of each example are; -1: none. None: a row is an example.
    """

    values: Float[Tensor, "N r"]
    squares: Float[Tensor, " r"]
    place: Int[Tensor, "E P"] | None

    @classmethod
    def of(cls, x: Float[Tensor, "N d"], example: Int[Tensor, " N"] | None = None) -> Coordinates:
        """The coordinates of rows of which `example` says whose they are, in ascending order; None: one row each.

        With d <= N they come from the covariance Z'Z = V S V' of the centred rows Z, as G = Z V. With more columns they
        come from the products of the rows, ZZ' = U S U', as G = U S^1/2: that costs one product, N^2 d.
        """
        n, d = x.shape
        if d <= n:
            rows = x.double() - x.double().mean(0)
            squares, axes = torch.linalg.eigh(rows.T @ rows)
            values = rows @ axes
        else:
            products = torch.zeros(n, n, dtype=torch.float64, device=x.device)
            for chunk, _ in column_chunks(x):
                rows = chunk - chunk.mean(0)
                products.addmm_(rows, rows.T)
            squares, axes = torch.linalg.eigh(products)
            values = axes * squares.clamp(min=0).sqrt()
        squares = squares.clamp(min=0)
        if float(squares.sum()) <= _ROUNDING * float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2:
            squares, values = torch.zeros_like(squares), torch.zeros_like(values)
        return cls(values, squares, None if example is None else _places(example))

    def left_out(
        self, targets: Float[Tensor, "N G"], strengths: Iterable[float] = STRENGTHS
    ) -> Iterator[tuple[Float[Tensor, "N G"], Float[Tensor, "N G"]]]:
        """What a ridge regression predicts of each row when its example is left out of the fit, for each strength.

            minimise  |Y - 1b' - ZW|^2 + lambda |W|^2

        With the hat matrix H = 11'/N + G (S + lambda)^-1 G' the residual of the rows B of an example is

            R_B = (I - H_BB)^-1 (Y - HY)_B

        in a fit without them, exactly (Golub, Heath & Wahba, Technometrics 21, 1979, for one row). So all fits together
        cost about as much as one.

        Args:
            targets: Y, of about unit size.
            strengths: lambda, as shares of the rows' sum of squares.

        Yields:
            (N, G) the prediction less the mean of the others' targets, and (N, G) the target less that mean.
        """
        centred = targets - targets.mean(0)
        inner, n, total = self.values.T @ centred, len(centred), float(self.squares.sum())
        for strength in strengths:
            # Without any variance nothing is predicted.
            weight = 1 / (self.squares + strength * total) if total > 0 else torch.zeros_like(self.squares)
            weighted = self.values * weight
            residual = centred - weighted @ inner
            if self.place is None:
                lever = 1 / n + (weighted * self.values).sum(1, keepdim=True)
                alone, others = residual / (1 - lever), centred * (n / (n - 1))
            else:
                alone, others = self._without_examples(weighted, residual, centred)
            predicted = others - alone
            yield torch.where(predicted.abs() > _NOTHING, predicted, 0.0), others

    def _without_examples(
        self, weighted: Tensor, residual: Tensor, centred: Tensor
    ) -> tuple[Float[Tensor, "N G"], Float[Tensor, "N G"]]:
        """Residuals with all rows of an example left out; where it has fewer rows than others, rows of zeros follow."""
        assert self.place is not None, "there are several rows an example"
        there = self.place >= 0
        rows = self.place.clamp(min=0)
        n = len(centred)
        hat = torch.einsum("epr,eqr->epq", weighted[rows], self.values[rows]) + 1 / n
        hat = hat * (there[:, :, None] & there[:, None, :])
        eye = torch.eye(hat.shape[1], dtype=hat.dtype, device=hat.device)
        alone = torch.linalg.solve(eye - hat, residual[rows] * there[:, :, None])
        own = centred[rows] * there[:, :, None]
        # The mean of the others, as the sum of all is 0.
        mean = -own.sum(1, keepdim=True) / (n - there.sum(1))[:, None, None]
        flat = rows[there]
        found, others = torch.empty_like(centred), torch.empty_like(centred)
        found[flat], others[flat] = alone[there], (own - mean)[there]
        return found, others


def _places(example: Int[Tensor, " N"]) -> Int[Tensor, "E P"]:
    """(E, P) the rows of each example, from whose each row is; -1 where it has no more."""
    sizes = torch.unique_consecutive(example, return_counts=True)[1]
    starts = sizes.cumsum(0) - sizes
    step = torch.arange(int(sizes.max()), device=example.device)
    return torch.where(step < sizes[:, None], starts[:, None] + step, -1)
