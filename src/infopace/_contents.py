"""What a model holds, to be put back bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Buffers:
    """The buffers of a model, which there are and what they hold: a pass may make, replace and fill them."""

    def __init__(self, model: nn.Module, keep_on: torch.device | None = None) -> None:
        self._found = [(module, dict(module._buffers)) for module in model.modules()]
        tensors = [buffer for _, found in self._found for buffer in found.values() if buffer is not None]
        self._values = [(buffer, _copy(buffer, keep_on)) for buffer in tensors]

    @torch.no_grad()
    def put_back(self) -> None:
        """All as it was; tensors keep their identity."""
        for module, found in self._found:
            module._buffers.clear()
            module._buffers.update(found)
        for buffer, value in self._values:
            # An expanded one cannot be written to, and so has not changed.
            value = value.to(buffer.device)
            if not torch.equal(buffer, value):
                buffer.copy_(value)


class Contents:
    """Weights and buffers of a model, and the state of an optimizer where one is given.

    Tensors keep their identity. `keep_on` is where the copies are kept, if not beside what they are of.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer | None = None, *, keep_on: torch.device | None = None
    ) -> None:
        self._weights = [(weight, _copy(weight, keep_on)) for weight in model.parameters()]
        self._buffers = Buffers(model, keep_on)
        self._optimizer = optimizer
        self._state: dict[Any, dict[str, Any]] = {}
        if optimizer is not None:
            self._state = {
                weight: {name: _copy(value, keep_on) for name, value in state.items()}
                for weight, state in optimizer.state.items()
            }

    @property
    def weight_norm(self) -> float:
        """The Euclidean norm of all weights together, as they were."""
        return norm_of(value for _, value in self._weights)

    @torch.no_grad()
    def put_back(self) -> None:
        """All as it was."""
        for weight, value in self._weights:
            weight.copy_(value)
        self._buffers.put_back()
        if self._optimizer is not None:
            self._optimizer.state.clear()
            for weight, state in self._state.items():
                # Copies again, to be put back more than once. What a step counts stays where it was kept.
                self._optimizer.state[weight] = {name: _copy(value, None) for name, value in state.items()}
                _to_device_of(weight, self._optimizer.state[weight])


def norm_of(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all tensors together; nan or inf where one is not finite."""
    norms = [float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)) for tensor in tensors]
    return math.hypot(*norms)


def _copy(value: Any, device: torch.device | None) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().to(value.device if device is None else device, copy=True)


def _to_device_of(weight: Tensor, state: dict[str, Any]) -> None:
    """What is of a weight's shape lies where it does."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == weight.shape:
            state[name] = value.to(weight.device)
