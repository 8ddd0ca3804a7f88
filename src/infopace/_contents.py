"""What a model and an optimizer hold, to be put back bit for bit."""

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


class Weights:
    """Some weights as they are; tensors keep their identity. `keep_on`: where the copies are, if not beside them."""

    def __init__(self, weights: Iterable[Tensor], keep_on: torch.device | None = None) -> None:
        self._values = [(weight, _copy(weight, keep_on)) for weight in weights]

    @property
    def norm(self) -> float:
        """Their Euclidean norm."""
        return norm_of(value for _, value in self._values)

    @torch.no_grad()
    def put_back(self) -> None:
        """All as it was."""
        for weight, value in self._values:
            weight.copy_(value)


class OptimizerState:
    """What an optimizer remembers, and its groups' settings but for the learning rate, as they are."""

    def __init__(self, optimizer: Optimizer, keep_on: torch.device | None = None) -> None:
        self._optimizer = optimizer
        self._state = {weight: _Kept(state, keep_on) for weight, state in optimizer.state.items()}
        self._groups = [
            {name: _Kept(value, keep_on) for name, value in group.items() if name not in ("params", "lr")}
            for group in optimizer.param_groups
        ]

    def put_back(self) -> None:
        """All as it was, each tensor where it lay. A group that was added since stays as it was added."""
        self._optimizer.state.clear()
        for weight, kept in self._state.items():
            self._optimizer.state[weight] = kept.value()
        for group, settings in zip(self._optimizer.param_groups, self._groups, strict=False):
            group.update({name: kept.value() for name, kept in settings.items()})


class _Kept:
    """Numbers, tensors, and lists and dicts of them, copied; and where each tensor lay."""

    def __init__(self, value: Any, keep_on: torch.device | None) -> None:
        self._value: Any = value
        self._device: torch.device | None = None
        if isinstance(value, Tensor):
            self._value, self._device = _copy(value, keep_on), value.device
        elif isinstance(value, dict):
            self._value = {name: _Kept(part, keep_on) for name, part in value.items()}
        elif isinstance(value, list | tuple):
            self._value = type(value)(_Kept(part, keep_on) for part in value)

    def value(self) -> Any:
        """A copy, to be put back more than once."""
        if self._device is not None:
            return _copy(self._value, self._device)
        if isinstance(self._value, dict):
            return {name: part.value() for name, part in self._value.items()}
        if isinstance(self._value, list | tuple):
            return type(self._value)(part.value() for part in self._value)
        return self._value


def norm_of(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all tensors together; nan or inf where one is not finite."""
    norms = []
    for tensor in tensors:
        # Apple's GPUs have no float64.
        precise = torch.float32 if tensor.device.type == "mps" else torch.float64
        norms.append(float(torch.linalg.vector_norm(tensor.detach(), dtype=precise)))
    return math.hypot(*norms)


def _copy(tensor: Tensor, device: torch.device | None) -> Tensor:
    return tensor.detach().to(tensor.device if device is None else device, copy=True)
