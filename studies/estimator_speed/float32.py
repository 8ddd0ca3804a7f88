"""Would a float32 product make Ross' estimate faster? Exact decisions near ties are part of the time.

Prints, for each shape, the processor seconds with the float64 product of the library and with a float32 product whose
error has a bound that always holds, the share of the pairs that the bound leaves open, and whether the values agree.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from infopace.estimators._neighbour_search import _distances
from infopace.estimators._neighbour_search._counts import value
from infopace.estimators._ross import ross_terms

K, CLASSES, REPEATS = 3, 10, 3
# Examples, columns, and whether the scale of the columns falls.
SHAPES = (
    (1000, 50, False),
    (1000, 200, False),
    (1000, 1000, False),
    (1000, 1000, True),
    (4000, 100, False),
    (1000, 8192, True),
    (1000, 8192, False),
)


class Narrow(_distances._Product):
    """The product in float32; what rounding may have changed is decided in float64, as for the float64 product."""

    def __init__(self, x: Tensor, weights: Tensor | None = None) -> None:
        super().__init__(x, weights)
        # Rounding of a product of d columns: at most d u |a| |b|, and |a| |b| is at most half the sum of the squares.
        share = (x.shape[1] + 8) * 2.0**-24
        self._slack = self._slack + (share * (self._squares + self._squares.max()))[:, None]
        self.open_pairs = 0

    def everything(self) -> tuple[Tensor, Tensor]:
        """All squared distances, and how far each row may be off."""
        n = self.n
        product = torch.zeros(n, n, dtype=torch.float32)
        spans = list(_distances._spans(n, max(64, -(-n // 8))))
        for chunk, columns in _distances.column_chunks(self._x):
            narrow = self._scaled(chunk, columns).float()
            for begin, end in spans:
                product[begin:end, begin:].addmm_(narrow[begin:end], narrow[begin:].T, alpha=-2)
        for begin, end in spans:
            product[end:, begin:end] = product[begin:end, end:].T
        return self._add_squares(product.double(), 0, n), self._slack

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        """The squared distances of single pairs, in float64."""
        self.open_pairs += len(i)
        return super().exact(i, j)


def main() -> None:
    """Time both products on each shape."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    for n, width, falls in SHAPES:
        x = torch.randn(n, width, generator=generator, dtype=torch.float64)
        y = torch.arange(n) % CLASSES
        x[:, 0] += y
        if falls:
            x = x * torch.arange(1, width + 1).double() ** -0.7
        wide, nats, _ = _timed(_distances._Product, x, y)
        narrow, same, open_pairs = _timed(Narrow, x, y)
        print(
            f"{n} x {width}{', falling scale' if falls else ''}: float64 {wide:.4f} s, float32 {narrow:.4f} s,"
            f" ratio {narrow / wide:.2f}, open pairs {open_pairs / n**2:.4f}, equal {nats == same}",
            flush=True,
        )


def _timed(product: type[_distances._Product], x: Tensor, y: Tensor) -> tuple[float, float, int]:
    best, nats, open_pairs = float("inf"), 0.0, 0
    for _ in range(REPEATS):
        begun = time.process_time()
        one = product(x)
        nats = value(ross_terms(_distances._Kept(one), y, K))
        best = min(best, time.process_time() - begun)
        open_pairs = getattr(one, "open_pairs", 0)
    return best, nats, open_pairs


if __name__ == "__main__":
    main()
