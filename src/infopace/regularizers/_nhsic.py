"""nHSIC: the normalised Hilbert-Schmidt independence criterion."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._checks import positive
from infopace._typing import Float
from infopace.regularizers._kernels import KernelTerm, Per


class NormalizedHSIC(KernelTerm):
    """nHSIC of a layer's outputs x and targets or inputs y; Gaussian kernels.

        nHSIC = <A, B> / (|A| |B|)                                             ridge = None
        nHSIC = tr[ HKH (HKH + r n 1)^-1  HLH (HLH + r n 1)^-1 ]                ridge = r

    K and L are the kernels of x and y, H = 1 - 11'/n. A and B are K and L without their diagonals, U-centred: the
    rows and columns of A sum to 0. <A, B> / (n (n - 3)) is the unbiased HSIC, so the first form has mean 0 for
    independent x and y. It lies in -1..1 and has no unit: it is not information in nats.

    The second form is that of the HSIC bottleneck, with r = 1e-5 there. It is not 0 for independent x and y: where the
    kernels have high rank it comes near n. Read it beside `shuffled`.

    The value stays the same when the examples are permuted, and when x or y is rotated or moved. With per = "median" it
    does not change with their scale either; with per = "sqrt(d)" it does.

    Args:
        width: The kernel's width, in units of `per`.
        per: "median": the median distance of the batch. "sqrt(d)": the root of the number of features, as in the HSIC
            bottleneck, which has width 5.
        ridge: None, or r.

    Shapes: x (n, ...), y (n, ...) or class labels (n,); n >= 4. The result is a scalar.

    Raises:
        ValueError: a width, `per` or ridge that is none.

    Sources: Gretton et al., ALT 2005; Song et al., JMLR 13, 2012 (unbiased); Kornblith et al., ICML 2019 (ratio); Ma,
        Lewis and Kleijn, AAAI 2020, arXiv:1908.01580 (with ridge).

    >>> x = torch.arange(32.0)[:, None]
    >>> term = NormalizedHSIC()
    >>> round(float(term(x, x.square())), 2), round(float(term.shuffled(x, x.square())), 2)
    (0.95, -0.01)
    """

    def __init__(self, width: float = 1.0, per: Per = "median", ridge: float | None = None) -> None:
        super().__init__(width, per)
        self.ridge = ridge if ridge is None else positive("ridge", ridge)

    def of_kernels(self, k: Float[Tensor, "n n"], l: Float[Tensor, "n n"]) -> Float[Tensor, ""]:  # noqa: E741
        """The value for the kernels of x and of y."""
        if self.ridge is None:
            return torch.nn.functional.cosine_similarity(
                _u_centred(k).flatten(), _u_centred(l).flatten(), dim=0
            )
        first, second = (_projector(kernel, self.ridge) for kernel in (k, l))
        return (first * second.T).sum()


def _u_centred(kernel: Tensor) -> Tensor:
    """Off the diagonal K_ij - sum_l K_il / (n - 2) - sum_k K_kj / (n - 2) + sum_kl K_kl / ((n - 1)(n - 2)), else 0."""
    n = len(kernel)
    off = ~torch.eye(n, dtype=torch.bool, device=kernel.device)
    kernel = kernel * off
    rows = kernel.sum(1) / (n - 2)
    return (kernel - rows[:, None] - rows + kernel.sum() / ((n - 1) * (n - 2))) * off


def _projector(kernel: Tensor, ridge: float) -> Tensor:
    """HKH (HKH + ridge n 1)^-1, symmetric."""
    n = len(kernel)
    rows = kernel.mean(1)
    centred = kernel - rows[:, None] - rows + kernel.mean()
    eye = torch.eye(n, dtype=kernel.dtype, device=kernel.device)
    return torch.linalg.solve(centred + ridge * n * eye, centred)
