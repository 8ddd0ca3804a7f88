"""What a scheduler is given: is it what it takes?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from torch.optim import Optimizer

from infopace._checks import shown
from infopace.model.layers import unknown_layer
from infopace.policies import Bounds, Policy
from infopace.policies._policy import check_reads_held_out
from infopace.probe import Probe


def check_arguments(optimizer: object, probe: object, policy: object, bounds: object) -> None:
    """Raise TypeError, in one line, for what is of another kind."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch Optimizer, got {type(optimizer).__name__}")
    if not isinstance(probe, Probe):
        raise TypeError(f"probe must be a Probe, got {type(probe).__name__}; Probe.sample draws one")
    if isinstance(policy, type):
        raise TypeError(f"policy must be an object, not its class: {policy.__name__}(...)")
    if not (policy is None or isinstance(policy, Policy)):
        raise TypeError(
            f"policy must have a method decide, got {shown(policy)}; bounds go by name: bounds=..."
        )
    if bounds is None:
        raise TypeError("bounds must be given, Bounds(lr_min, lr_max) or those of a range_test, got None")
    parts = list(bounds.values()) if isinstance(bounds, Mapping) else [bounds]
    wrong = next((part for part in parts if not isinstance(part, Bounds)), None)
    if wrong is not None:
        hint = "; take its .bounds" if isinstance(getattr(wrong, "bounds", None), Bounds) else ""
        kind = type(wrong).__name__
        raise TypeError(
            f"bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got {kind}{hint}"
        )


def check_held_out(held_out: object, probe: Probe, policy: Policy) -> None:
    """Raise TypeError for what is no probe or not read by the policy, ValueError for other classes."""
    if not isinstance(held_out, Probe):
        raise TypeError(f"held_out must be a Probe, got {type(held_out).__name__}")
    check_reads_held_out(policy)
    # What few classes hold at most would look like memory of the others.
    if held_out.classes != probe.classes:
        raise ValueError(
            f"held_out must have the classes of the probe, {probe.classes}, got {held_out.classes}"
        )


def check_bounds(layers: Iterable[str], bounds: Bounds | Mapping[str, Bounds]) -> None:
    """Raise ValueError for a driving layer without bounds."""
    without = [layer for layer in layers if isinstance(bounds, Mapping) and layer not in bounds]
    if without:
        raise ValueError(f"bounds must hold every driving layer, got none for {without[0]!r}")


def check_driven(layers: Iterable[str], measured: Collection[str], first: int = 0) -> None:
    """Raise ValueError for a driving layer that is not measured; of the parameter groups from `first` on."""
    for group, layer in enumerate(layers, first):
        if layer not in measured:
            raise ValueError(f"parameter group {group} cannot be driven: {unknown_layer(layer, measured)}")
