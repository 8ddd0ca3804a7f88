"""CLUB, an upper bound to be minimised, and InfoNCE, a lower bound to be maximised."""

from __future__ import annotations

from torch import Tensor, nn

from infopace._typing import Float, Shaped
from infopace.estimators._neural_bounds import infonce
from infopace.regularizers._fitted import FittedTerm, check_widths, perceptron

# ln of the variance lies within this of 0. A plain tanh, within 1, hides that a variance is small.
_LOG_VARIANCE = 5.0
_FEATURES = 32


class CLUB(FittedTerm):
    """CLUB of a layer's outputs x and targets or inputs y, in nats: an upper bound if its model of y fits.

        I(X;Y) <= < ln q(y_i | x_i) >_i - < ln q(y_j | x_i) >_ij
        q(y | x) = N( mu(x), diag s^2(x) )

    mu and s are heads of one perceptron, fitted by maximum likelihood. The second mean is over all
    pairs, in closed form.

    Where q does not fit, the difference is no bound: it can be negative, and a network that minimises it then makes it
    more negative without end. So q is fitted before each value, and the value is max(0, difference): a negative one has
    no gradient. `bound` gives the difference with its sign. A new q knows nothing of x, so the first value is 0.

    The value is a sum over the features of y: with thousands of them use a projection, or x and y the other way round.
    It stays the same when the examples are permuted. Scale and rotation change what q has to learn.

    Args:
        x_features: The number of features of x, all axes after the first counted together.
        y_features: That of y, or its number of classes.
        hidden: Hidden units of the perceptron.
        steps: Steps of Adam on q in each call in training mode.
        lr: Its learning rate.

    Shapes: x (n, ...), y (n, ...) or class labels (n,); n >= 4. The result is a scalar.

    Raises:
        ValueError: a setting that is not positive; x or y of another width.

    Source: Cheng et al., ICML 2020, arXiv:2006.12013 (vCLUB).

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(256, 1)
    >>> y = x + torch.randn(256, 1)  # I = 0.35 nats
    >>> club = CLUB(1, 1, lr=0.01)
    >>> blind = float(club.bound(x, y))
    >>> club.fit(x, y, steps=200)
    >>> round(abs(blind), 6), round(float(club.bound(x, y)), 1)
    (0.0, 1.0)
    """

    def __init__(
        self, x_features: int, y_features: int, *, hidden: int = 64, steps: int = 5, lr: float = 1e-3
    ) -> None:
        widths = check_widths(x_features, y_features, hidden)
        super().__init__(widths, perceptron(widths[0], hidden, 2 * widths[1], zero=True), steps, lr)

    def forward(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."]) -> Float[Tensor, ""]:
        """max(0, bound), after q was fitted to the batch in training mode."""
        return super().forward(x, y).clamp_min(0)

    def of_features(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """The difference, for two tables of features."""
        mean, log_variance = self._heads(x)
        around = y.mean(0)
        # < (y_j - mu_i)^2 >_j = var y + (< y > - mu_i)^2
        shuffled = (y - around).square().mean(0) + (around - mean).square()
        return ((shuffled - (y - mean).square()) / (2 * log_variance.exp())).sum(1).mean()

    def critic_loss(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """- < ln q(y_i | x_i) >, without its constant."""
        mean, log_variance = self._heads(x)
        return (((y - mean).square() / log_variance.exp() + log_variance) / 2).sum(1).mean()

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.critic(x).chunk(2, dim=1)
        return mean, _LOG_VARIANCE * (raw / _LOG_VARIANCE).tanh()


class InfoNCE(FittedTerm):
    """InfoNCE of a layer's outputs x and targets or inputs y, in nats: a lower bound, to be kept large.

        I(X;Y) >= ln n + < T_ii - ln sum_j e^T_ij >_i,    T_ij = f(x_i) . g(y_j)

    f and g are perceptrons, fitted to raise the bound. It never exceeds ln n, so a batch of 64 shows at most 4.16 nats.
    Beside CLUB, a loss of beta CLUB(layer, what to forget) - gamma InfoNCE(layer, what to keep) holds one end with an
    upper and the other with a lower bound. To minimise InfoNCE is to minimise a lower bound, which promises little.

    It stays the same when the examples are permuted. Scale and rotation change what f and g have to learn.

    Args:
        x_features: The number of features of x, all axes after the first counted together.
        y_features: That of y, or its number of classes.
        hidden: Hidden units of each perceptron.
        steps: Steps of Adam on f and g in each call in training mode.
        lr: Their learning rate.

    Shapes: x (n, ...), y (n, ...) or class labels (n,); n >= 4. The result is a scalar.

    Raises:
        ValueError: a setting that is not positive; x or y of another width.

    Sources: van den Oord, Li and Vinyals, arXiv:1807.03748; as a bound: Poole et al., ICML 2019.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(256, 1)
    >>> y = x + torch.randn(256, 1)  # I = 0.35 nats
    >>> term = InfoNCE(1, 1, lr=0.01)
    >>> blind = float(term.bound(x, y))
    >>> term.fit(x, y, steps=100)
    >>> round(abs(blind), 6), round(float(term.bound(x, y)), 1)
    (0.0, 0.3)
    """

    def __init__(
        self, x_features: int, y_features: int, *, hidden: int = 64, steps: int = 5, lr: float = 1e-3
    ) -> None:
        widths = check_widths(x_features, y_features, hidden)
        sides = [
            perceptron(widths[0], hidden, _FEATURES),
            perceptron(widths[1], hidden, _FEATURES, zero=True),
        ]
        super().__init__(widths, nn.ModuleList(sides), steps, lr)

    def of_features(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """The bound, for two tables of features."""
        first, second = self.critic.children()
        return infonce(first(x) @ second(y).T)
