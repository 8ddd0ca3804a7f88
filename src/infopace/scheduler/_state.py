"""The state of a scheduler, by the names of layers: is it one that this scheduler can go on from?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

from infopace.policies import Decision, Phase

_Fits = Callable[[Any], bool]

VERSION = 2
_PHASES = get_args(Phase)
# What a state of this version has had from the first.
_ALWAYS = frozenset(
    {
        "last_epoch",
        "step_count",
        "last_lr",
        "group_lrs",
        "scales",
        "factors",
        "reference",
        "history",
        "begun",
        "decisions",
        "used",
        "rolled_back",
        "held_out_rows",
        "held_out_history",
        "held_out_examples",
    }
)


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
_KINDS: dict[str, tuple[_Fits, str]] = {
    # -1 before a warm-up's first step
    "last_epoch": (
        lambda value: _is_count(value) or (isinstance(value, int) and value == -1),
        "a whole number",
    ),
    "step_count": _COUNT,
    "held_out_rows": _COUNT,
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


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:100]}.."


def check_state(
    state: Mapping[str, Any],
    *,
    driving_layers: Sequence[str],
    layers: Sequence[str],
    held_out_rows: int,
    reference: float,
) -> None:
    """Raise ValueError, in one line, for a state of another scheduler, or one that is not whole."""
    if not isinstance(state, Mapping):
        raise ValueError(f"scheduler state must be what state_dict() gave, got {_shown(state)}")
    version = state.get("version")
    if not isinstance(version, int) or version != VERSION:
        raise ValueError(f"scheduler state must have version {VERSION}, got {_shown(version)}")
    missing = sorted(_ALWAYS - set(state))
    if missing:
        raise ValueError(f"scheduler state must hold {', '.join(missing)}, got {sorted(map(str, state))}")
    for name, (fits, what) in _KINDS.items():
        if not fits(state[name]):
            raise ValueError(f"scheduler state must hold {name} as {what}, got {_shown(state[name])}")
    mine, theirs = list(dict.fromkeys(driving_layers)), list(state["decisions"])
    # A layer that drives from now on is none that the state knows of.
    if not set(theirs) <= set(mine):
        raise ValueError(f"scheduler state must be driven by this model's layers {mine}, got {theirs}")
    for name in ("begun", "scales"):
        without = [layer for layer in theirs if layer not in state[name]]
        if without:
            raise ValueError(
                f"scheduler state must hold {name} of layer {without[0]!r}, got {_shown(state[name])}"
            )
    if (theirs := list(state["history"])) != list(layers):
        raise ValueError(f"scheduler state must be of this model's layers {list(layers)}, got {theirs}")
    if (n := state["held_out_rows"]) != held_out_rows:
        raise ValueError(f"scheduler state must be of {held_out_rows} held-out examples, got one of {n}")
    if state["reference"] != reference:
        raise ValueError(
            f"scheduler state must be of this probe, with reference {reference}, got {state['reference']}"
        )
    _check_lengths(state)


def _check_lengths(state: Mapping[str, Any]) -> None:
    decisions = {layer: len(taken) for layer, taken in state["decisions"].items()}
    epochs = max(decisions.values(), default=0)
    measured = epochs - len(state["rolled_back"])  # an undone epoch has decisions, and no history
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
