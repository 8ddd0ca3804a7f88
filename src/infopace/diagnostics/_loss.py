"""The loss of a model as a function of its trainable weights, for derivatives that leave the model as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from infopace._checks import shown
from infopace.diagnostics._outputs import check_probe
from infopace.model.forward import as_found, call, main_tensor, map_tensors, tensors_of
from infopace.model.layers import check_model, unwrap
from infopace.model.sharding import is_sharded
from infopace.probe import Probe

Loss = Callable[[Tensor, Tensor], Tensor]
Weights = Mapping[str, Tensor]


class LossOfWeights:
    """loss(model(inputs) / temperature, targets), a scalar, as a function of the trainable weights.

    Args:
        model: Any torch module on one device.
        loss: (outputs, targets) -> scalar, the mean over the examples.
        temperature: The main output is divided by it.

    Attributes:
        weights: Copies of the trainable weights, by name.

    Raises:
        TypeError: no module, no function.
        ValueError: no trainable weights, weights that are split over processes, or of half precision.
    """

    def __init__(self, model: nn.Module, loss: Loss, temperature: float = 1.0) -> None:
        check_model(model)
        if not callable(loss):
            raise TypeError(f"loss must be a function of outputs and targets, got {shown(loss)}")
        self.model, self._loss, self._temperature = unwrap(model), loss, temperature
        trainable = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        if not trainable:
            raise ValueError("the model must have trainable weights, got none")
        for name, weight in trainable.items():
            if is_sharded(weight):
                raise ValueError(
                    f"the weights must be whole on this process, got {name} split by fully_shard"
                )
            if weight.dtype not in (torch.float32, torch.float64):
                raise ValueError(
                    f"the weights must be float32 or float64, got {weight.dtype} in {name}; model.float() makes them so"
                )
        self.weights = {name: weight.detach().clone() for name, weight in trainable.items()}

    def __call__(self, weights: Weights, inputs: Any, targets: Tensor) -> Tensor:
        """The loss at these weights; scalar."""
        outputs = main_tensor(call(self._at(weights), inputs))
        if outputs is None:
            raise ValueError("the model must return a tensor, got none")
        value = self._loss(outputs if self._temperature == 1 else outputs / self._temperature, targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else shown(value)
            raise ValueError(f"loss must give a scalar, the mean over the examples, got {got}")
        return value.reshape(())

    def _at(self, weights: Weights) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self.model, dict(weights), args, kwargs)

        return run


@contextlib.contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients, also inside `no_grad`; attention by its formula, which has second derivatives.

    At the end the model is as it was found, bit for bit.
    """
    with torch.inference_mode(False), torch.enable_grad(), as_found(model), sdpa_kernel(SDPBackend.MATH):
        yield


def number_of(inputs: Any, targets: object, least: int = 1) -> int:
    """The number of examples.

    Raises:
        TypeError: targets that are no tensor.
        ValueError: fewer than `least`, or inputs without that many.
    """
    if not isinstance(targets, Tensor):
        raise TypeError(f"targets must be a tensor, got {type(targets).__name__}")
    n = len(targets) if targets.ndim else 0
    if n < least:
        raise ValueError(f"there must be {least} examples or more, got {n}")
    sizes = [len(tensor) if tensor.ndim else 0 for tensor in tensors_of(inputs)]
    if sizes and n not in sizes:
        raise ValueError(f"inputs and targets must have the same number of examples, got {sizes[0]} and {n}")
    return n


def pairs_of(probe: object, loss: object) -> Probe:
    """The probe, if it holds inputs and targets for a loss.

    Raises:
        TypeError: no probe, no function.
        ValueError: a probe with a forward of its own, which makes the targets.
    """
    probe = check_probe(probe)
    if not callable(loss):
        raise TypeError(f"loss must be a function of outputs and targets, got {shown(loss)}")
    if probe.forward is not None:
        raise ValueError(
            f"the probe must hold inputs and targets, got one with forward = {shown(probe.forward)}; the functions of "
            "this room take any inputs"
        )
    return probe


def copied(inputs: Any) -> Any:
    """A copy of inputs, which a model may change in place. One that was made in inference mode is usual afterwards."""
    return map_tensors(inputs, lambda tensor: tensor.detach().clone())


def doubled(values: Tensor) -> Tensor:
    """In double precision, on the CPU where the device has none."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def finite(name: str, value: Tensor, hint: str = "") -> float:
    """The value of a scalar tensor; ValueError where it is not finite."""
    number = float(value.detach())
    if not torch.isfinite(value.detach()):
        raise ValueError(f"{name} must be finite, got {number}{hint}")
    return number
