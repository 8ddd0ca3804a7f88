"""The variational information bottleneck at a layer: the second variant of Jonsson 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infopace._checks import number, shown, whole
from infopace._typing import Float, Shaped
from infopace.regularizers._features import features


class VariationalBottleneck(nn.Module):
    """Upper bound of I(X;Z) in nats, where Z is a noisy sample of a layer that the rest of the model gets.

        I(X;Z) <= < KL( N(t, s^2(t)) || N(0, 1) ) > = < 1/2 sum_k (t_k^2 + s_k^2 - 1 - ln s_k^2) >
        z = t + s(t) N(0, 1),    s = softplus(W t + b)

    The layer itself gives the means t, so name one without a nonlinearity. b starts at -5, where the noise is small.
    The mean is over the batch, the sum over features.

    `Layers(model, name, change=bottleneck.sample)` passes z on in training mode and t in evaluation mode; without that
    the term only shrinks the layer. W and b are the module's parameters: give them to the optimizer. With beta = 0 and
    `sample` in the model, the noise is the same and the bound is not pressed: the control.

    The value stays the same when the examples are permuted. Scale changes it, as the prior N(0, 1) is fixed.

    Args:
        features: The number of features of the layer, all axes after the first counted together.
        start: The first b.

    Shapes: term(t) with t (n, ...), n >= 4; the result is a scalar. sample(t) has the shape of t.

    Raises:
        ValueError: no whole number of features, a start that is not finite, t of another width.

    Sources: Alemi et al., ICLR 2017, arXiv:1612.00410; at a layer of a network: Jónsson, Cherubini and Eleftheriou,
        Entropy 2020, 22(7):727. Which layer and which beta they had is not known to us.

    >>> _ = torch.manual_seed(0)
    >>> bottleneck = VariationalBottleneck(2)
    >>> round(float(bottleneck(torch.zeros(8, 2)).detach()), 2)
    9.01
    """

    def __init__(self, features: int, start: float = -5.0) -> None:
        super().__init__()
        self.features = whole("features", features, 1)
        self.spread = nn.Linear(self.features, self.features)
        nn.init.constant_(self.spread.bias, number("start", start))

    def forward(self, t: Shaped[Tensor, "n ..."]) -> Float[Tensor, ""]:
        """The bound for the outputs of a layer, with gradients."""
        mean = features("t", t, self.features).to(self.spread.weight.dtype)
        variance = self._deviation(mean).square()
        return (mean.square() + variance - 1 - variance.log()).sum(1).mean() / 2

    def sample(self, t: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """What the rest of the model gets: z in training mode, t in evaluation mode."""
        if not self.training:
            return t
        if not isinstance(t, Tensor) or t.ndim == 0:
            raise TypeError(f"t must be a tensor of examples, got {shown(t)}")
        mean = t.reshape(len(t), -1)
        if mean.shape[1] != self.features:
            raise ValueError(f"t must have {self.features} features an example, got shape {tuple(t.shape)}")
        return (mean + self._deviation(mean) * torch.randn_like(mean)).reshape(t.shape)

    def _deviation(self, mean: Tensor) -> Tensor:
        # Far below 0 softplus is 0 in floating point, and the logarithm of that infinite.
        return nn.functional.softplus(self.spread(mean)).clamp_min(1e-6)
