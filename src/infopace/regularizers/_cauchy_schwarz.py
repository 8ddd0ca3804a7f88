"""Cauchy-Schwarz information, for regression."""

from __future__ import annotations

from torch import Tensor

from infopace._typing import Float
from infopace.regularizers._kernels import KernelTerm, Per


class CauchySchwarz(KernelTerm):
    """Cauchy-Schwarz quadratic information of a layer's outputs x and inputs or targets y; Gaussian kernels.

        I_CS(x; y) = ln int p(x,y)^2 + ln int p(x)^2 p(y)^2 - 2 ln int p(x,y) p(x) p(y)
                   = ln < K_ij L_ij >_ij + ln < K_ij >_ij < L_ij >_ij - 2 ln < < K_ij >_j < L_ij >_j >_i

    K and L are the kernels of x and y. The second line is the first with kernel estimates of the densities, in closed
    form: no critic, no eigenvalues, and defined for quantities as for classes. It is a logarithm of densities, so its
    unit is the nat, but it is no Shannon information. It is never below 0, and 0 if and only if the two estimated
    densities are the same. A batch of independent pairs has a small positive value: `shuffled` gives it.

    In the bottleneck for regression the loss is the error of the prediction plus beta I_CS(layer; inputs).

    The value stays the same when the examples are permuted, and when x or y is rotated or moved. With per = "median" it
    does not change with their scale either; with per = "sqrt(d)" it does.

    Args:
        width: The kernel's width, in units of `per`.
        per: "median": the median distance of the batch. "sqrt(d)": the root of the number of features.

    Shapes: x (n, ...), y (n, ...) or class labels (n,); n >= 4. The result is a scalar.

    Raises:
        ValueError: a width or `per` that is none.

    Source: Yu, Yu, Løkse, Jenssen and Principe, ICLR 2024, arXiv:2404.17951.

    >>> import torch
    >>> x = torch.arange(32.0)[:, None]
    >>> term = CauchySchwarz()
    >>> round(float(term(x, x)), 3), round(float(term.shuffled(x, x)), 3)
    (0.227, 0.013)
    """

    def __init__(self, width: float = 1.0, per: Per = "median") -> None:
        super().__init__(width, per)

    def of_kernels(self, k: Float[Tensor, "n n"], l: Float[Tensor, "n n"]) -> Float[Tensor, ""]:  # noqa: E741
        """The value for the kernels of x and of y."""
        cross = (k.mean(1) * l.mean(1)).mean()
        return (k * l).mean().log() + k.mean().log() + l.mean().log() - 2 * cross.log()
