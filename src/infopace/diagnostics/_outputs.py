"""What layers of a model give for the examples of a probe, with the model left as it was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import shown
from infopace._typing import Float
from infopace.model.forward import as_found, hooked, main_tensor, map_tensors
from infopace.model.layers import check_model, pick_layers, unwrap, weight_layers
from infopace.probe import Probe
from infopace.probe.outputs import run


def check_probe(probe: object) -> Probe:
    """The probe itself. Raises TypeError for anything else."""
    if not isinstance(probe, Probe):
        raise TypeError(f"probe must be a Probe, got {shown(probe)}")
    return probe


def ready(probe: Probe, model: nn.Module) -> nn.Module:
    """The plain module inside the model, with the probe's examples on its device.

    Raises:
        TypeError: not a torch module.
        ValueError: a model on the meta device, or a lazy one that has not run yet.
    """
    check_model(model)
    model = unwrap(model)
    weight = next(model.parameters(), None)
    if weight is not None and weight.device.type == "meta":
        raise ValueError("the model must have weights to be measured, got them on the meta device")
    if weight is not None:
        probe.to(weight.device)
    return model


def last_hidden(probe: Probe, model: nn.Module) -> Float[Tensor, "n d"]:
    """What the last layer with weights is given: the last hidden layer, after its activation function.

    The last one is the one that runs last. Of (n, .., d) that a linear layer gets, positions are averaged; of
    (n, d, ..) that a convolution gets, places are.

    Raises:
        ValueError: no layer with weights runs, or what it gets has not one row per example.
    """
    model = ready(probe, model)
    latest: list[tuple[str, nn.Module, Any]] = []

    def hook(name: str) -> Callable[..., None]:
        def after_run(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            latest[:] = [(name, module, main_tensor(args))]

        return after_run

    layers = weight_layers(model)
    with torch.no_grad(), as_found(model), hooked({layer: hook(name) for name, layer in layers.items()}):
        run(probe._forward, model, map_tensors(probe._examples, torch.clone))
    if not latest:
        raise ValueError("the model must run a layer with weights, got none that runs; name a layer")
    name, module, values = latest[0]
    if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != probe.n:
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"layer {name!r}, the last with weights, must get one row per example, got {got}; name a layer"
        )
    is_linear = isinstance(module, nn.Linear)
    return values.flatten(1, -2).mean(1) if is_linear and values.ndim > 2 else units(values)


def named_layer(probe: Probe, model: nn.Module, layer: str) -> Float[Tensor, "n d"]:
    """What a named layer gives; of (n, d, ..) places are averaged.

    Raises:
        ValueError: a name that matches no layer or several, a layer that does not run or has not one row per example.
    """
    model = ready(probe, model)
    picked = pick_layers(model, [layer])
    if len(picked) != 1:
        raise ValueError(f"layer must name one layer, got {shown(layer)}, which are {len(picked)}")
    found: list[Tensor | None] = []

    def hook(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        found[:] = [main_tensor(result)]

    with torch.no_grad(), as_found(model), hooked(dict.fromkeys(picked.values(), hook)):
        run(probe._forward, model, map_tensors(probe._examples, torch.clone))
    values = found[0] if found else None
    if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != probe.n:
        got = tuple(values.shape) if isinstance(values, Tensor) else "none"
        raise ValueError(f"layer {layer!r} must give one row per example, got {got}")
    return units(values)


def units(values: Tensor) -> Float[Tensor, "n d"]:
    """(n, d, ..) as (n, d): the means over places."""
    return values if values.ndim == 2 else values.flatten(2).mean(2)
