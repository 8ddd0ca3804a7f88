"""What the terms without a critic share: Gaussian kernels of a batch, their width, the value for shuffled pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from infopace._checks import check_choice, check_seed, positive, whole
from infopace._typing import Float, Shaped
from infopace.regularizers._features import feature_pair

Per = Literal["median", "sqrt(d)"]


def gaussian_kernel(x: Float[Tensor, "n d"], width: float, per: Per) -> Float[Tensor, "n n"]:
    """Gaussian kernel of all pairs of a batch.

        K_ij = exp( -|x_i - x_j|^2 / (2 s^2) )
        s = width * median of the positive |x_i - x_j|     per = "median"
        s = width * sqrt(d)                                per = "sqrt(d)"

    The median is that of this batch (the lower one of two). The gradient flows through it, so that a term cannot be
    lowered by the scale of x.

    >>> gaussian_kernel(torch.tensor([[0.0], [2.0]]), 1.0, "median")[0].numpy().round(4).tolist()
    [1.0, 0.6065]
    """
    centred = x - x.mean(0)  # for the precision of the difference of squares
    squares = centred.square().sum(1)
    with torch.autocast(x.device.type, enabled=False):
        products = centred @ centred.T
    squared = (squares[:, None] + squares - 2 * products).clamp_min(0)
    squared = squared * ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    if per == "sqrt(d)":
        return (-squared / (2 * width**2 * x.shape[1])).exp()
    # Rounding leaves equal examples a little apart.
    apart = squared[squared > 10 * torch.finfo(x.dtype).eps * squares.max()]
    if not len(apart):  # all examples are the same
        return (-squared).exp()
    return (-squared / (2 * width**2 * apart.median())).exp()


class KernelTerm(nn.Module, ABC):
    """A term that reads the Gaussian kernels of two batches, and nothing else."""

    def __init__(self, width: float, per: Per) -> None:
        super().__init__()
        self.width = positive("width", width)
        check_choice("per", per, ("median", "sqrt(d)"))
        self.per: Per = per

    def forward(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."]) -> Float[Tensor, ""]:
        """The value for n pairs: outputs of a layer, and targets or inputs; with gradients."""
        first, second = feature_pair(x, y)
        kernels = [gaussian_kernel(table, self.width, self.per) for table in (first, second)]
        return self.of_kernels(*kernels)

    @abstractmethod
    def of_kernels(self, k: Float[Tensor, "n n"], l: Float[Tensor, "n n"]) -> Float[Tensor, ""]:  # noqa: E741
        """The value for the kernels of x and of y."""
        ...

    @torch.no_grad()
    def shuffled(
        self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."], shuffles: int = 10, seed: int = 0
    ) -> Float[Tensor, ""]:
        """The null value: the mean over shuffles of y, which keep x and y and end their dependence."""
        shuffles = whole("shuffles", shuffles, 1)
        feature_pair(x, y)  # refuses what the term refuses
        generator = torch.Generator().manual_seed(check_seed(seed))
        orders = [torch.randperm(len(y), generator=generator).to(y.device) for _ in range(shuffles)]
        return torch.stack([self(x, y[order]) for order in orders]).mean()

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        return f"width={self.width:g}, per={self.per!r}"
