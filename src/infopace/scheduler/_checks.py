"""What a scheduler is given: its arguments, and a saved state to continue from."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

from torch.optim import Optimizer

from infopace._checks import shown
from infopace.model.layers import unknown_layer
from infopace.policies import Bounds, Decision, Phase, Policy
from infopace.policies._policy import check_policy, check_reads_held_out
from infopace.probe import Probe
from infopace.scheduler._roll_back import RollBack

_Fits = Callable[[Any], bool]

VERSION = 3
_PHASES = get_args(Phase)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_rate(value: object) -> bool:
    return _is_number(value) and value >= 0  # pyright: ignore[reportOperatorIssue]


def _is_decision(value: object) -> bool:
    if not (isinstance(value, Mapping) and set(value) == {field.name for field in fields(Decision)}):
        return False
    return _is_rate(value["lr"]) and isinstance(value["reason"], str) and value["phase"] in _PHASES


def _list_of(fits: _Fits) -> _Fits:
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def _by_layer(fits: _Fits) -> _Fits:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(layer, str) for layer in value)
        and all(map(fits, value.values()))
    )


_COUNT, _RATES = (_is_count, "a whole number"), (_by_layer(_list_of(_is_rate)), "rates by layer")
_NATS = (_by_layer(_list_of(_is_number)), "finite numbers of nats by layer")
# What a state must hold, each with a check and what it is.
_KINDS: dict[str, tuple[_Fits, str]] = {
    # -1 before a warm-up's first step
    "last_epoch": (
        lambda value: _is_count(value) or (isinstance(value, int) and value == -1),
        "a whole number",
    ),
    "step_count": _COUNT,
    "held_out_size": _COUNT,
    "last_lr": _RATES,
    "group_lrs": _RATES,
    "factors": _RATES,
    "scales": (_by_layer(_is_rate), "a number by layer"),
    "reference": (_is_rate, "a number of nats"),
    "rolled_back": (_list_of(_is_count), "numbers of epochs"),
    "history": _NATS,
    "held_out_history": _NATS,
    "held_out_examples": (_by_layer(lambda value: isinstance(value, Mapping)), "tensors by layer"),
    "begun": (_by_layer(_is_count), "a whole number by layer"),
    "used": (_list_of(_by_layer(_list_of(_list_of(_is_rate)))), "rates by epoch and layer"),
    "decisions": (_by_layer(_list_of(_is_decision)), "decisions by layer"),
}


def check_arguments(
    optimizer: object, probe: object, policy: object, bounds: object, roll_back: object
) -> None:
    """Raise TypeError, in one line, for an argument of another kind."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch Optimizer, got {type(optimizer).__name__}")
    if not isinstance(probe, Probe):
        raise TypeError(f"probe must be a Probe, got {type(probe).__name__}; Probe.sample draws one")
    if policy is not None:
        check_policy(policy)
    if bounds is None:
        raise TypeError(
            "bounds must be given, Bounds(lr_min, lr_max) or those that find_bounds gives, got None"
        )
    for part in bounds.values() if isinstance(bounds, Mapping) else [bounds]:
        if not isinstance(part, Bounds):
            raise TypeError(
                "bounds must be Bounds(lr_min, lr_max), or one for each layer's name, got "
                f"{type(part).__name__}; a range test's are its .bounds"
            )
    if not isinstance(roll_back, bool | RollBack):
        raise TypeError(f"roll_back must be True, False or RollBack(...), got {shown(roll_back)}")


def check_held_out(held_out: object, probe: Probe, policy: Policy) -> None:
    """Raise TypeError for no probe, or one that the policy does not read; ValueError for other classes."""
    if not isinstance(held_out, Probe):
        raise TypeError(f"held_out must be a Probe, got {type(held_out).__name__}")
    check_reads_held_out(policy)
    # Fewer classes hold less information at most, and the difference would look like overfitting.
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


def check_state(
    state: Mapping[str, Any],
    *,
    driving_layers: Sequence[str],
    layers: Sequence[str],
    held_out_size: int,
    reference: float,
) -> None:
    """Raise ValueError, in one line, for a state of another scheduler, or one that is not whole."""
    if not isinstance(state, Mapping):
        raise ValueError(f"scheduler state must be what state_dict() returned, got {shown(state)}")
    version = state.get("version")
    if not isinstance(version, int) or version != VERSION:
        raise ValueError(f"scheduler state must have version {VERSION}, got {shown(version)}")
    missing = sorted(_KINDS.keys() - state.keys())
    if missing:
        raise ValueError(f"scheduler state must hold {', '.join(missing)}, got {sorted(map(str, state))}")
    for name, (fits, what) in _KINDS.items():
        if not fits(state[name]):
            raise ValueError(f"scheduler state must hold {name} as {what}, got {shown(state[name])}")
    mine, theirs = list(dict.fromkeys(driving_layers)), list(state["decisions"])
    # The state does not know of a layer that drives from now on.
    if not set(theirs) <= set(mine):
        raise ValueError(f"scheduler state must be driven by this model's layers {mine}, got {theirs}")
    for name in ("begun", "scales"):
        without = [layer for layer in theirs if layer not in state[name]]
        if without:
            raise ValueError(
                f"scheduler state must hold {name} of layer {without[0]!r}, got {shown(state[name])}"
            )
    if (theirs := list(state["history"])) != list(layers):
        raise ValueError(f"scheduler state must be of this model's layers {list(layers)}, got {theirs}")
    if (n := state["held_out_size"]) != held_out_size:
        raise ValueError(f"scheduler state must be of {held_out_size} held-out examples, got one of {n}")
    if state["reference"] != reference:
        raise ValueError(
            f"scheduler state must be of this probe, with reference {reference}, got {state['reference']}"
        )
    _check_lengths(state)


def _check_lengths(state: Mapping[str, Any]) -> None:
    decisions = {layer: len(taken) for layer, taken in state["decisions"].items()}
    epochs = max(decisions.values(), default=0)
    measured = epochs - len(state["rolled_back"])  # a rolled-back epoch has decisions and no history
    parts = [(f"the history of {layer}", len(v), measured) for layer, v in state["history"].items()]
    parts += [
        (f"decisions of {layer}", n, epochs) for layer, n in decisions.items() if not state["begun"][layer]
    ]
    parts.append(("the rates used", len(state["used"]), epochs - 1))
    for name, got, wanted in parts:
        if got != wanted or epochs == 0:
            raise ValueError(f"scheduler state must fit together, {epochs} epochs, got {got} in {name}")
    for layer in decisions:
        groups = {name: len(state[name].get(layer, ())) for name in ("factors", "last_lr", "group_lrs")}
        if len({*groups.values()}) != 1 or not state["begun"][layer] < measured:
            raise ValueError(f"scheduler state must fit together, got {groups} groups of layer {layer}")
