"""What the terms with a critic share: the critic is fitted to each batch first, and is fixed in the network's step."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import positive, whole
from infopace._typing import Float, Shaped
from infopace.regularizers._features import feature_pair

# The longest gradient of a critic, against single batches with a huge ratio of densities.
_LONGEST = 1.0


class FittedTerm(nn.Module, ABC):
    """A term with a critic of its own.

    In training mode each call fits the critic for `steps` steps of Adam on the detached batch, and then gives the value
    with the critic fixed: gradients reach x and y and never the critic. In evaluation mode nothing is fitted. The
    optimizer of the critic is part of the module, and of its `state_dict`. The user's optimizer needs to know nothing.

    A last layer of zeros makes a new critic blind: its value is 0, and so is the gradient that it gives the network.
    """

    def __init__(self, widths: tuple[int, int], critic: nn.Module, steps: int, lr: float) -> None:
        super().__init__()
        self.widths = widths
        self.steps = whole("steps", steps, 0)
        self.critic = critic.requires_grad_(False)
        self.optimizer = torch.optim.Adam(critic.parameters(), lr=positive("lr", lr))

    def forward(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."]) -> Float[Tensor, ""]:
        """The value for n pairs: outputs of a layer, and targets or inputs; with gradients."""
        if self.training:
            self.fit(x, y)
        return self.bound(x, y)

    def bound(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."]) -> Float[Tensor, ""]:
        """The value of the critic as it is, with its sign; nothing is fitted."""
        return self.of_features(*self._features(x, y))

    def fit(self, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "_n ..."], steps: int | None = None) -> None:
        """Fit the critic to n pairs for `steps` steps, or as many as the module has."""
        steps = self.steps if steps is None else whole("steps", steps, 0)
        first, second = (table.detach() for table in self._features(x, y))
        with torch.enable_grad(), _trainable(self.critic):
            for _ in range(steps):
                self.optimizer.zero_grad()
                self.critic_loss(first, second).backward()
                nn.utils.clip_grad_norm_(self.critic.parameters(), _LONGEST)
                self.optimizer.step()
            self.optimizer.zero_grad()

    @abstractmethod
    def of_features(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """The value for two tables of features."""
        ...

    def critic_loss(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """What the critic minimises; minus the value, unless the value is no lower bound."""
        return -self.of_features(x, y)

    def _features(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        first, second = feature_pair(x, y, self.widths)
        dtype = next(self.critic.parameters()).dtype
        return first.to(dtype), second.to(dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FittedTerm:
        # `.to(device)` reaches the critic; loading its own state puts the optimizer where the critic is.
        super()._apply(fn, recurse)
        self.optimizer.load_state_dict(self.optimizer.state_dict())
        return self

    def get_extra_state(self) -> dict[str, Any]:
        """The state of the critic's optimizer, for `state_dict`."""
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back the state of the critic's optimizer."""
        self.optimizer.load_state_dict(state)

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        return f"widths={self.widths}, steps={self.steps}"


def perceptron(*widths: int, zero: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between them; `zero`: the last one is 0 at first."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    last = layers[-2]
    if zero and isinstance(last, nn.Linear):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(*layers[:-1])


def check_widths(x_features: int, y_features: int, hidden: int) -> tuple[int, int]:
    """The numbers of features of x and y, and of hidden units, or an error that names them."""
    whole("hidden", hidden, 1)
    return whole("x_features", x_features, 1), whole("y_features", y_features, 1)


@contextlib.contextmanager
def _trainable(critic: nn.Module) -> Iterator[None]:
    critic.requires_grad_(True)
    try:
        yield
    finally:
        critic.requires_grad_(False)
