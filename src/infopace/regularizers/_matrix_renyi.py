"""Matrix-based Renyi information: from the eigenvalues of kernels, without a density."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._checks import number, shown
from infopace._typing import Float, Shaped
from infopace.regularizers._features import features
from infopace.regularizers._kernels import KernelTerm, Per, gaussian_kernel


class MatrixRenyi(KernelTerm):
    """Matrix-based Renyi information of a layer's outputs x and targets or inputs y, in nats; Gaussian kernels.

        I_a(x; y) = S_a(A) + S_a(B) - S_a( A o B / tr(A o B) )
        S_a(A) = ln( sum_i l_i^a ) / (1 - a)

    A = K / n and B = L / n are the kernels with trace 1, l_i the eigenvalues of A, o the product entry by entry. For
    a = 2 the sum is |A|^2 and needs no eigenvalues; otherwise a term costs three decompositions of n x n.

    It is no Shannon information, and the width decides what it says. With a narrow kernel all examples are far apart,
    and shuffled pairs have as much as true ones. So the default is 3 medians, where the value is small and shuffled
    pairs have almost none. With a = 2 it is tiny there: take one median, or a large beta. Read it only beside
    `shuffled`, and never let it drive the learning rate.

    The value stays the same when the examples are permuted, and when x or y is rotated or moved. With per = "median" it
    does not change with their scale either; with per = "sqrt(d)" it goes from 0 to its maximum with it.

    Args:
        alpha: a, above 1. The literature has 1.01, as a stand-in for Shannon's 1, and 2.
        width: The kernel's width, in units of `per`.
        per: "median": the median distance of the batch. "sqrt(d)": the root of the number of features.

    Shapes: x (n, ...), y (n, ...) or class labels (n,); n >= 4. The result is a scalar.

    Raises:
        ValueError: an alpha of 1 or less, where the gradient at an eigenvalue of 0 is infinite; a width or `per` that
            is none.

    Sources: Sanchez Giraldo, Rao and Principe, IEEE Trans. Inf. Theory 61, 2015, arXiv:1211.2459; Yu, Yu
        and Principe, ICASSP 2021, arXiv:2102.00533 (in a loss).

    >>> x = torch.arange(32.0)[:, None]
    >>> term = MatrixRenyi()
    >>> round(float(term(x, x)), 3), round(float(term.shuffled(x, x)), 3)
    (0.136, 0.005)
    """

    def __init__(self, alpha: float = 1.01, width: float = 3.0, per: Per = "median") -> None:
        super().__init__(width, per)
        self.alpha = number("alpha", alpha)
        if self.alpha <= 1:
            raise ValueError(f"alpha must be above 1, got {shown(alpha)}")

    def of_kernels(self, k: Float[Tensor, "n n"], l: Float[Tensor, "n n"]) -> Float[Tensor, ""]:  # noqa: E741
        """The value for the kernels of x and of y."""
        n = len(k)  # the trace of either, and of their product
        return self._entropy(k / n) + self._entropy(l / n) - self._entropy(k * l / n)

    def entropy(self, x: Shaped[Tensor, "n ..."]) -> Float[Tensor, ""]:
        """S_a of one batch, in nats: from 0, all examples the same, to ln n, all far apart."""
        table = features("x", x)
        return self._entropy(gaussian_kernel(table, self.width, self.per) / len(table))

    def _entropy(self, a: Tensor) -> Tensor:
        if self.alpha == 2:
            return -a.square().sum().log()
        # Rounding gives eigenvalues a little below 0.
        return torch.linalg.eigvalsh(a).clamp_min(0).pow(self.alpha).sum().log() / (1 - self.alpha)

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        return f"alpha={self.alpha:g}, {super().extra_repr()}"
