"""A Keras optimizer as one of torch's, so that it can be stepped, copied and rolled back as those are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class KerasOptimizer(Optimizer):
    """A Keras optimizer of a compiled model, on the torch backend. Each of its updates is a step.

    Args:
        model: The model, which must be built.

    Raises:
        ValueError: an optimizer whose learning rate is a schedule.
    """

    def __init__(self, model: Any) -> None:
        self._of_keras = keras = model.optimizer
        if not keras.built:
            keras.build(model.trainable_variables)
        try:
            keras.learning_rate = float(keras.learning_rate)
        except TypeError as error:
            raise ValueError(
                "the optimizer's learning_rate must be a number, got a schedule beside infopace's"
            ) from error
        defaults: dict[str, Any] = {"lr": float(keras.learning_rate)}
        if hasattr(keras, "beta_2") and hasattr(
            keras, "epsilon"
        ):  # it divides by second moments, so it is warmed up
            defaults |= {"betas": (float(keras.beta_1), float(keras.beta_2)), "eps": float(keras.epsilon)}
        super().__init__([variable.value for variable in model.trainable_variables], defaults)
        rate = getattr(keras, "_learning_rate", None)
        self._slots = {one.path: one for one in keras.variables if one is not rate}
        self.state["slots"] = {path: one.value for path, one in self._slots.items()}  # pyright: ignore[reportArgumentType]
        self._update = keras.apply
        step: Any = torch.compiler.disable(self.step)
        keras.apply = lambda *args, **kwargs: step(lambda: self._update(*args, **kwargs))

    @property
    def done(self) -> int:
        """Updates so far, of earlier runs too."""
        return int(self._of_keras.iterations)

    def release(self) -> None:
        """Updates of the Keras optimizer are no steps any more."""
        self._of_keras.apply = self._update

    def show_rate(self) -> None:
        """Give the Keras optimizer the learning rate that was set here."""
        self._of_keras.learning_rate = float(self.param_groups[0]["lr"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update at the learning rate that was set here."""
        self.show_rate()
        return None if closure is None else closure()

    def state_dict(self) -> dict[str, Any]:
        """What the Keras optimizer remembers, by the paths of its variables."""
        return {path: one.value.detach().clone() for path, one in self._slots.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load what `state_dict` gave."""
        for path, one in self._slots.items():
            one.assign(state_dict[path])
