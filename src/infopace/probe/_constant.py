"""A warning where the outputs say the same to the last bit, or nothing at all, although the weights move."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infopace._checks import warn

# Values that are compared, of all outputs and of each weight.
_OUTPUTS, _OF_A_WEIGHT = 4096, 16


@dataclass
class _Last:
    weights: Tensor
    outputs: Tensor
    nats: float
    constant: bool
    warned: bool = False


class ConstantSignal:
    """What was measured last of each model; a model that is gone is forgotten, and so is all in a copy by pickle."""

    def __init__(self) -> None:
        self._last: weakref.WeakKeyDictionary[nn.Module, _Last] = weakref.WeakKeyDictionary()

    def check(self, model: nn.Module, outputs: Tensor, nats: float) -> None:
        """Warn once a model if its weights are not those of the last time, but its information and its outputs are.

        So it does too if each example has the same outputs, now and the last time: those of dead units move with the
        bias of the last layer. A saturated network has the same information again, but not the same outputs. Of outputs
        and weights a few thousand evenly spaced values are compared.
        """
        if not any(weight.requires_grad for weight in model.parameters()):
            return
        now = _Last(_weights(model), _spaced(outputs, _OUTPUTS), nats, _is_constant(outputs))
        before = self._last.get(model)
        self._last[model] = now
        if before is None:
            return
        now.warned = before.warned
        if now.warned or _same(before.weights, now.weights):
            return
        if before.nats == nats and _same(before.outputs, now.outputs):
            what = f"the information is {nats:.4g} nats again, to the last bit"
        elif before.constant and now.constant:
            what = f"the outputs are the same for every example again, with {nats:.4g} nats of information"
        else:
            return
        now.warned = True
        warn(
            f"{what}, although the weights have moved: the output that is measured does not depend on them, or all "
            "units of the network are dead; check which output is measured, and give forward= to the probe if it is "
            "another"
        )

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._last = weakref.WeakKeyDictionary()

    def __deepcopy__(self, memo: dict[int, object]) -> ConstantSignal:
        return ConstantSignal()


def _weights(model: nn.Module) -> Tensor:
    parts = [_spaced(weight, _OF_A_WEIGHT) for weight in model.parameters() if weight.requires_grad]
    return torch.cat([part.double() if part.device.type != "mps" else part.float() for part in parts]).cpu()


def _spaced(values: Tensor, most: int) -> Tensor:
    """Evenly spaced values of a tensor: of this process's part, if several have one each."""
    local = getattr(values, "_local_tensor", values).detach()
    if local.is_complex():
        local = torch.view_as_real(local)
    flat = local.reshape(-1)
    return flat[:: max(1, -(-flat.numel() // most))].clone()


def _is_constant(outputs: Tensor) -> bool:
    """Whether each example has the same outputs. Two examples are compared first: most often they differ."""
    local = getattr(outputs, "_local_tensor", outputs)
    return len(local) > 1 and bool((local[1] == local[0]).all()) and bool((local == local[:1]).all())


def _same(one: Tensor, other: Tensor) -> bool:
    # Compared on one device: a model may have been moved in between.
    return one.shape == other.shape and torch.equal(one.cpu(), other.cpu())
