"""What the kinds of usable information share: positions that belong to examples, two halves, a bound on one's loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from infopace._typing import Bool, Float, Int
from infopace.estimators._estimate import Caution
from infopace.estimators._inputs import as_matrix

# Each half needs two examples, or it shows no spread.
_FEWEST = 4


@dataclass(frozen=True)
class Found:
    """Usable information of n examples, in nats.

    Attributes:
        pointwise: (n,) what each contributes.
        cost: What the number fitted on one half costs on the other, on average.
        short: How far the value may be too low because these examples' frequencies are not the true ones.
        ceiling: The most that it can be.
        note: What was fitted, for people.
        cautions: What was left out, and why.
    """

    pointwise: Float[Tensor, " n"]
    cost: float
    short: float = 0.0
    ceiling: float = math.inf
    note: str = ""
    cautions: list[Caution] = field(default_factory=list)


@dataclass(frozen=True)
class Examples:
    """The N positions that count, in order, and the n examples that have one.

    Attributes:
        n: Examples with a position.
        width: Positions of an example, counted or not.
        left_out: Examples without one.
        place: (N,) where each is among all positions of all examples.
        example: (N,) its example, 0..n-1.
        column: (N,) where it is in its example.
        weight: (N,) 1, or where positions are averaged 1 / their number in the example.
        product: Whether an example's terms are summed.
    """

    n: int
    width: int
    left_out: int
    place: Int[Tensor, " N"]
    example: Int[Tensor, " N"]
    column: Int[Tensor, " N"]
    weight: Float[Tensor, " N"]
    product: bool

    @classmethod
    def of(cls, counted: Bool[Tensor, "all P"], product: bool, device: torch.device) -> Examples:
        """Raises ValueError: fewer than 4 examples with a position that counts."""
        width = counted.shape[1]
        sizes = counted.sum(1)
        n = int((sizes > 0).sum())
        if n < _FEWEST:
            among = "" if n == len(counted) else f" with a position that counts, of {len(counted)}"
            raise ValueError(f"usable information takes at least {_FEWEST} examples, got {n}{among}")
        place = counted.reshape(-1).nonzero()[:, 0]
        row, column = place // width, place % width
        example = ((sizes > 0).cumsum(0) - 1)[row]
        weight = torch.ones(len(place), dtype=torch.float64) if product else 1 / sizes.double()[row]
        place, example, column, weight = (part.to(device) for part in (place, example, column, weight))
        return cls(n, width, len(counted) - n, place, example, column, weight, product)

    @property
    def slot(self) -> Int[Tensor, " N"]:
        """(N,) where each position is among all positions of the n examples."""
        return self.example * self.width + self.column

    def grid(self, values: Float[Tensor, " N"]) -> Float[Tensor, "n P"]:
        """Values by example and position, 0 where nothing counts."""
        found = torch.zeros(self.n * self.width, dtype=torch.float64, device=values.device)
        found[self.slot] = values.double()
        return found.reshape(self.n, self.width)

    def total(self, values: Tensor) -> Float[Tensor, " n"]:
        """Sum or mean of each example's positions, in a fixed order."""
        values = values.double() * self.weight
        return values if len(values) == self.n else self.grid(values).sum(1)

    def gain(self, ratio: Float[Tensor, " N"], half: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """What each example gains from ratios ln(q / p) of its positions, none ever much below 0.

        A decoder that was right at all M positions of the other half is given one part in M + 1 of p, as if it had been
        wrong once: ln((M q / p + 1) / (M + 1)). So no position loses more than ln(M + 1). Where the decoder is
        calibrated this costs nothing to first order in 1 / M, since then <p / q> = 1.
        Labels of a product are predicted together, and the example is the position.
        """
        if self.product:
            others = torch.bincount(1 - half, minlength=2)[half]
            return _mixed(self.total(ratio), others)
        rows = half[self.example]
        return self.total(_mixed(ratio, torch.bincount(1 - rows, minlength=2)[rows]))

    def units(self, half: Int[Tensor, " n"]) -> list[int]:
        """How many predictions each half has: positions, or examples of a product."""
        return torch.bincount(half if self.product else half[self.example], minlength=2).tolist()

    def cautions(self) -> list[Caution]:
        """Were examples left out?"""
        if not self.left_out:
            return []
        plural = "s have" if self.left_out > 1 else " has"
        were = "were" if self.left_out > 1 else "was"
        sentence = f"{self.left_out} example{plural} no position that counts and {were} left out"
        return [Caution("left-out", sentence)]


def check_counted(values: Float[Tensor, "M C"], examples: Examples, name: str) -> None:
    """Raises OutOfRangeError: nan, inf, or too large to be squared, where a position counts."""
    shown = torch.zeros_like(values)
    shown[examples.place] = values[examples.place]
    as_matrix(shown.reshape(len(values) // examples.width, -1), name)


def _mixed(ratio: Tensor, others: Tensor) -> Tensor:
    m = others.double()
    return torch.logaddexp(ratio.double() + (m / (m + 1)).log(), -(m + 1).log())
