"""The MINE term of Jonsson 2020: what a noisy layer says about the inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infopace._checks import positive, shown, whole
from infopace._typing import Float, Shaped
from infopace.estimators._neural_bounds import donsker_varadhan, running_log_mean
from infopace.regularizers._fitted import FittedTerm, check_widths, perceptron
from infopace.regularizers._layers import GaussianNoise, root_mean_square

# Each pair is compared with those of this many cyclic shifts of the batch.
_SHIFTS = 4


class MINE(FittedTerm):
    """Donsker-Varadhan bound of I(X; T + N) in nats, with a critic that learns beside the network.

        I(X; T + N) >= < c(t~_i, x_i) >_i - ln < e^c(t~_i, x_(i+k)) >_ik
        t~ = T / rms(T) + s N(0, 1)

    c is a perceptron of two hidden layers on both at once. k are four cyclic shifts of the batch, drawn in each step.
    Without noise I(X;T) of a deterministic network is infinite, so s has no default: state it with every number. The
    rms is over the batch, so the scale of T changes nothing.

    While the critic learns, its gradient divides by a running mean of < e^c > instead of the batch's. The critic is
    blind at first: its value is 0 and gives no gradient. A blind critic is no evidence of independence, so raise beta
    from 0 over the first epochs. The value is max(0, bound), since a negative bound says nothing; `bound` keeps the
    sign. The value of one batch is noisy: report the mean over many.

    `noise` is the module that adds N. `Layers(model, name, change=mine.noise)` passes the noisy layer on to the rest of
    the model, and the same line without the term is the control: noise alone regularises.

    The paper's coefficients, layers and critic are not known to us: this is our reconstruction of it from its abstract.

    Args:
        x_features: The number of features of the layer, T, all axes after the first counted together.
        y_features: That of the inputs, X, or a number of classes.
        noise: s, above 0.
        hidden: Hidden units of each of the critic's layers.
        projection: X with more features than this is replaced by a fixed random projection on so many.
        steps: Steps of Adam on the critic in each call in training mode.
        lr: Its learning rate.

    Shapes: mine(layer, inputs) with (n, ...) each, or class labels (n,); n >= 4. The result is a scalar. Noise and
    shifts come from torch's global generators.

    Raises:
        ValueError: a setting that is not positive, no noise among them; x or y of another width.

    Sources: Jónsson, Cherubini and Eleftheriou, Entropy 2020, 22(7):727 (the term); Belghazi et al., ICML 2018,
        arXiv:1801.04062 (bound, running mean).

    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(256, 3)
    >>> mine = MINE(1, 3, noise=0.5, hidden=64, lr=0.005)
    >>> blind = float(mine.bound(x[:, :1], x))
    >>> mine.fit(x[:, :1], x, steps=50)  # I = 0.80 nats
    >>> blind, round(float(mine.bound(x[:, :1], x)), 1)
    (0.0, 0.8)
    """

    log_mean: Tensor

    def __init__(
        self,
        x_features: int,
        y_features: int,
        *,
        noise: float,
        hidden: int = 256,
        projection: int = 256,
        steps: int = 5,
        lr: float = 5e-4,
    ) -> None:
        widths = check_widths(x_features, y_features, hidden)
        kept = min(widths[1], whole("projection", projection, 1))
        critic = perceptron(widths[0] + kept, hidden, hidden, 1, zero=True)
        super().__init__(widths, critic, steps, lr)
        self.noise = GaussianNoise(_stated(noise))
        drawn = torch.randn(widths[1], kept) / math.sqrt(kept) if kept < widths[1] else None
        self.projection: Tensor | None
        self.register_buffer("projection", drawn)
        self.register_buffer("log_mean", torch.zeros(()))  # the blind critic's < e^c > is 1

    def forward(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."]) -> Float[Tensor, ""]:
        """max(0, bound), after the critic was fitted to the batch in training mode."""
        return super().forward(x, y).clamp_min(0)

    def of_features(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """The bound, for two tables of features, T and X."""
        return donsker_varadhan(*self._scores(x, y))

    def critic_loss(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """Minus the bound, with the running mean in its gradient."""
        joint, product = self._scores(x, y)
        self.log_mean.copy_(running_log_mean(self.log_mean, product))
        return -donsker_varadhan(joint, product, self.log_mean)

    def _scores(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        n = len(t)
        x = x if self.projection is None else x @ self.projection.to(x.dtype)
        noisy = t / root_mean_square(t) + self.noise.scale * torch.randn_like(t)
        x = x / root_mean_square(x)
        shifts = (torch.randperm(n - 1)[:_SHIFTS] + 1).tolist()
        pairs = torch.cat([torch.cat([noisy, x.roll(shift, 0)], 1) for shift in (0, *shifts)])
        scores = self.critic(pairs)[:, 0]
        return scores[:n], scores[n:]

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        return f"{super().extra_repr()}, noise={self.noise.scale:g}"


def _stated(noise: object) -> float:
    try:
        return positive("noise", noise)
    except ValueError:
        raise ValueError(
            f"noise must be a positive number, got {shown(noise)}: without noise I(X;T) is infinite"
        ) from None
