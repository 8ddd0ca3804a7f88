"""The layers of a model: their names, their parameters, and the model inside its wrappers."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

from infopace.model.sharding import has_flat_weights, reshard

# These use the weights of their submodules without calling them, so each counts as one layer.
_WHOLE = (nn.MultiheadAttention, nn.RNNBase)

_Found = TypeVar("_Found")


def check_model(model: object) -> None:
    """Raise TypeError if it is not a torch module with weights of their own, ValueError if it has none of them yet."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch Module, got {type(model).__name__}")
    if has_flat_weights(model):
        raise TypeError(
            "the model must be split by fully_shard, got one in FullyShardedDataParallel, whose weights have no shapes"
        )
    for module in model.modules():
        if any(map(is_lazy, module.parameters(recurse=False))):
            raise ValueError(
                f"the model must have its weights, got a {type(module).__name__} that has not run yet; "
                "call the model on a batch first"
            )


def unwrap(model: nn.Module) -> nn.Module:
    """The plain module inside torch.compile, DataParallel and DistributedDataParallel.

    `fully_shard` does not wrap: what it has made of the module is the plain module.
    """
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def weight_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name -> module of every layer with weights, in the order of the model's modules.

    A layer has a parameter of two or more dimensions (convolution, linear, embedding) and no submodule with
    parameters. Attention, recurrent and parametrized modules count as one layer each, and so does a module that adds
    matrices of its own to a single layer inside it, as LoRA does. Normalisations do not count: their parameters are
    vectors, and they keep the information of the layer before them.
    A module that is used in several places has its first name. A model that is itself one layer is called "output".

    Raises:
        TypeError: not a torch module.
        ValueError: a lazy module that has not run yet.
    """
    check_model(model)
    found: dict[str, nn.Module] = {}
    for name, module in _pieces(unwrap(model)):
        if _has_matrix(module) and module not in found.values():
            found[name or "output"] = module
    return found


def layer_groups(model: nn.Module, **options: Any) -> list[dict[str, Any]]:
    """One optimizer parameter group per layer, each paced by its own layer's information.

    Pass them to any torch optimizer: `SGD(layer_groups(model), lr=0.1)`. Each group has "params", "layer" (its name
    in `weight_layers`) and the options given. Other parameters, such as those of normalisations, belong to the layer
    before them, or to the first layer if none is before; those of a module around several layers belong to the first
    of these. Shared parameters belong to the first layer that has them. Frozen parameters are left out. The scheduler
    paces a layer that cannot be measured, such as position embeddings, by the information of its nearest neighbour.

    Raises:
        TypeError: not a torch module.
        ValueError: the model has no layer with trainable weights.

    >>> from torch import nn
    >>> [group["layer"] for group in layer_groups(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)))]
    ['0', '2']
    """
    check_model(model)
    model = unwrap(model)
    reshard(model)
    layers = weight_layers(model)
    owner: dict[int, str] = {}
    current = next(iter(layers), "")
    for name, module in model.named_modules():
        within = next((layer for layer in layers if name == layer or name.startswith(f"{layer}.")), None)
        current = within or current
        inside = next((layer for layer in layers if layer.startswith(f"{name}." if name else "")), current)
        for parameter in module.parameters(recurse=False):
            owner.setdefault(id(parameter), within or inside)
    groups: dict[str, list[nn.Parameter]] = {layer: [] for layer in layers}
    for parameter in model.parameters():
        if parameter.requires_grad and layers:
            groups[owner[id(parameter)]].append(parameter)
    found = [{"params": params, "layer": layer, **options} for layer, params in groups.items() if params]
    if not found:
        raise ValueError(
            f"layer_groups needs a model with trainable weights, got {type(model).__name__} without"
        )
    return found


def nearest_measured(layer: str, layers: Sequence[str], measured: Collection[str]) -> str:
    """The layer whose information stands for that of one which cannot be measured, such as position embeddings.

    It is the nearest in the tree of modules: the one whose name has the most leading parts in common. Among several it
    is the last before the layer, or else the first after it. Where no layer is measured it is "output".

    Args:
        layer: The name of the layer. If it is measured it stands for itself.
        layers: All layers with weights, in the order of the model's modules, as `weight_layers` has them.
        measured: The names of those that are measured.

    Raises:
        ValueError: a layer that is neither measured nor one of the layers.

    >>> nearest_measured("h.0.bias", ["embed", "h.0.q", "h.0.bias", "h.1.q"], ["embed", "h.0.q", "h.1.q", "output"])
    'h.0.q'
    """
    if layer in measured:
        return layer
    order = list(layers)
    if layer not in order:
        raise ValueError(unknown_layer(layer, measured))
    own, place = layer.split("."), order.index(layer)

    def closeness(other: str) -> tuple[int, bool, int]:
        alike = [one == two for one, two in zip(own, other.split("."), strict=False)]
        here = order.index(other)
        return [*alike, False].index(False), here < place, -abs(here - place)

    return max((other for other in order if other in measured), key=closeness, default="output")


def with_neighbours(
    measured: Mapping[str, _Found], wanted: Iterable[str], layers: Sequence[str]
) -> dict[str, _Found]:
    """What was measured by layer, and for each wanted layer that was not, what its `nearest_measured` layer has.

    Raises:
        ValueError: a wanted layer that is neither measured nor one of the layers.
    """
    return {**{layer: measured[nearest_measured(layer, layers, measured)] for layer in wanted}, **measured}


def pick_layers(model: nn.Module, layers: str | Sequence[str]) -> dict[str, nn.Module]:
    """The modules that `layers` names: none for "output", all of `weight_layers` for "all", or by names and patterns.

    Raises:
        ValueError: a name or pattern that matches no module, with the nearest names.
    """
    model = unwrap(model)
    if layers == "output":
        return {}
    if layers == "all":
        return weight_layers(model)
    known = {name: module for name, module in model.named_modules() if name}
    picked: dict[str, nn.Module] = {}
    for wanted in [layers] if isinstance(layers, str) else layers:
        # A name may hold a character that patterns use.
        names = [wanted] if wanted in known else [name for name in known if fnmatch.fnmatchcase(name, wanted)]
        if not names and wanted != "output":
            raise ValueError(unknown_layer(wanted, known))
        picked |= {name: known[name] for name in names}
    return {name: module for name, module in known.items() if name in picked}


def check_parameters(optimizer: Optimizer, model: nn.Module) -> None:
    """Raise ValueError if an optimizer has parameters of another model: they are neither measured nor restored."""
    known = {id(parameter) for parameter in parameters_of(model)}
    for number, group in enumerate(optimizer.param_groups):
        foreign = sum(id(parameter) not in known for parameter in group["params"])
        if foreign:
            raise ValueError(
                f"the optimizer must hold only the model's parameters, got {foreign} others in parameter group {number}"
            )


def holds_all(optimizer: Optimizer, model: nn.Module) -> bool:
    """Whether an optimizer has all trainable weights of the model."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return all(id(weight) in held for weight in parameters_of(model) if weight.requires_grad)


def parameters_of(model: nn.Module) -> list[nn.Parameter]:
    """The parameters as an optimizer holds them: where `fully_shard` splits them, the parts."""
    model = unwrap(model)
    reshard(model)
    return list(model.parameters())


def unknown_layer(wanted: str, known: Iterable[str]) -> str:
    """An error message for an unknown layer name: the name, the nearest names, all names."""
    known = list(known)
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"unknown layer {wanted!r}{hint} The layers are: {shown}"


def _pieces(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that count as one layer at most, with their names."""
    parts = [
        (part, child) for part, child in module.named_children() if any(True for _ in child.parameters())
    ]
    whole = not parts or isinstance(module, _WHOLE) or is_parametrized(module)
    pieces = (
        []
        if whole
        else [piece for part, child in parts for piece in _pieces(child, f"{name}.{part}" if name else part)]
    )
    around = any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    if whole or (around and sum(_has_matrix(piece) for _, piece in pieces) == 1):
        yield name, module
    else:
        yield from pieces


def _has_matrix(module: nn.Module) -> bool:
    return any(parameter.ndim >= 2 for parameter in module.parameters())
