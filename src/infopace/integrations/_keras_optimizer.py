"""A Keras optimizer as one of torch's, so that it can be stepped, copied and rolled back as those are.

And what a Keras model keeps beside the weights that are trained.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def beside_weights(model: Any) -> list[Tensor | nn.Module]:
    """The averages of batch norm, which Keras keeps as variables, and the modules of torch inside.

    These modules are in evaluation mode from now on unless they are called for training, as layers of Keras are.
    """
    from keras.layers import TorchModuleWrapper  # the adapter says what is missing where Keras is

    found: list[Tensor | nn.Module] = [one.value for one in model.non_trainable_variables]
    for layer in model._flatten_layers():
        if isinstance(layer, TorchModuleWrapper):
            if not isinstance(layer.call, functools.partial):  # not in an earlier run
                layer.call = functools.partial(_called, layer.call)
            found.append(layer.module)
    return found


def _called(call: Callable[..., Any], *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
    return call(*args, training=bool(training), **kwargs)


def _rule_of(own: Any) -> Any:
    """The optimizer that updates, without the one that scales the loss."""
    from keras.optimizers import LossScaleOptimizer

    return own.inner_optimizer if isinstance(own, LossScaleOptimizer) else own


def _setter(own: Any) -> Callable[[float, bool], None]:
    """A function that sets the rate of a Keras optimizer, and warns once if another callback has changed it.

    What it knows is no attribute of an optimizer, which a roll-back would restore.
    """
    ours, warned = float(own.learning_rate), False

    def set_rate(rate: float, look: bool) -> None:
        nonlocal ours, warned
        # To read the rate may wait for a device, so it is not read before each step.
        if look and not warned and abs((found := float(own.learning_rate)) - ours) > ours / 100:
            warned = True
            warnings.warn(
                f"another callback, ReduceLROnPlateau perhaps, has changed the learning rate to {found:.4g}; it is set "
                f"back to {rate:.4g}, so leave that callback out",
                stacklevel=3,
            )
        own.learning_rate = ours = rate  # Keras may keep 8 bits of it

    return set_rate


class KerasOptimizer(Optimizer):
    """A Keras optimizer of a compiled model, on the torch backend. Each of its updates is a step.

    Batches whose gradients are only accumulated are none.

    Args:
        model: The model, which must be built.

    Raises:
        ValueError: an optimizer whose learning rate is a schedule.
    """

    def __init__(self, model: Any) -> None:
        self._of_keras = own = model.optimizer
        # Of a fit that was interrupted, and did not end.
        if isinstance(old := getattr(own.apply, "of", None), KerasOptimizer):
            old.release()
        if not own.built:
            own.build(model.trainable_variables)
        try:
            own.learning_rate = float(own.learning_rate)
        except TypeError as error:
            raise ValueError(
                "the optimizer's learning_rate must be a number, got a schedule beside infopace's"
            ) from error
        rule = _rule_of(own)
        defaults: dict[str, Any] = {
            "lr": float(own.learning_rate),
            "momentum": getattr(rule, "momentum", 0.0),
        }
        if hasattr(rule, "beta_2") and hasattr(rule, "epsilon"):
            # It divides by second moments, so it is warmed up.
            defaults |= {"betas": (float(rule.beta_1), float(rule.beta_2)), "eps": float(rule.epsilon)}
        elif hasattr(rule, "beta_1"):
            defaults["momentum"] = float(rule.beta_1)  # Lion averages gradients too
        super().__init__([variable.value for variable in model.trainable_variables], defaults)
        self._set_rate, self._ended = _setter(own), True
        self._rule, rate = rule, getattr(rule, "_learning_rate", None)
        # Layers of one name in nested models have one path.
        slots = [one for one in own.variables if one is not rate]
        self._slots = {f"{place} {one.path}": one for place, one in enumerate(slots)}
        self.state["slots"] = {name: one.value for name, one in self._slots.items()}  # pyright: ignore[reportArgumentType]
        self._update = own.apply
        step: Any = torch.compiler.disable(self.step)

        def apply(*args: Any, **kwargs: Any) -> Any:
            if self.batches > 1 and (int(rule._iterations) + 1) % self.batches:
                return self._update(*args, **kwargs)
            return step(lambda: self._update(*args, **kwargs))

        apply.of = self  # pyright: ignore[reportFunctionMemberAccess]
        own.apply = apply

    @property
    def batches(self) -> int:
        """Batches whose gradients are accumulated for an update."""
        return self._rule.gradient_accumulation_steps or 1

    def updates(self, epochs: int, batches: int, options: Mapping[str, Any]) -> int:
        """The updates of so many epochs; measured by epochs, all are as long as the first.

        Gradients that are left over at the end of an epoch are of the next.
        """
        if options.get("every") is None:
            return epochs * (batches // self.batches)
        return epochs * batches // self.batches

    @property
    def done(self) -> int:
        """Updates so far, of earlier runs too."""
        return int(self._of_keras.iterations)

    def release(self) -> None:
        """Updates of the Keras optimizer are no steps any more. It has the rate again that it came with."""
        self._of_keras.apply = self._update
        self._of_keras.learning_rate = self.param_groups[0]["initial_lr"]

    def end_epoch(self) -> None:
        """Show the rate that was set here. Other callbacks follow, so it is looked at before the next step."""
        self._set_rate(self._rate, True)
        self._ended = True

    @property
    def _rate(self) -> float:
        return float(self.param_groups[0]["lr"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update at the learning rate that was set here."""
        self._set_rate(self._rate, self._ended)
        self._ended = False
        return None if closure is None else closure()

    def state_dict(self) -> dict[str, Any]:
        """What the Keras optimizer remembers, by the places and paths of its variables."""
        return {name: one.value.detach().clone() for name, one in self._slots.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load what `state_dict` gave."""
        for name, one in self._slots.items():
            one.assign(state_dict[name])
