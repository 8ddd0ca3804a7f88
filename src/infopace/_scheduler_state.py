"""The state of a scheduler, by the names of layers: is it one that this scheduler can go on from?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VERSION = 2
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
        "undone",
        "held_out_rows",
        "held_out_history",
        "held_out_examples",
    }
)


def check_state(
    state: Mapping[str, Any],
    *,
    driving_layers: Sequence[str],
    layers: Sequence[str],
    held_out_rows: int,
    reference: float,
) -> None:
    """Raise ValueError, in one line, for a state of another scheduler, or one that is not whole."""
    version = state.get("version")
    if version != VERSION:
        raise ValueError(f"scheduler state must have version {VERSION}, got {version!r}")
    missing = sorted(_ALWAYS - set(state))
    if missing:
        raise ValueError(f"scheduler state must hold {', '.join(missing)}, got {sorted(state)}")
    mine, theirs = list(dict.fromkeys(driving_layers)), list(state["decisions"])
    # A layer that drives from now on is none that the state knows of.
    if not set(theirs) <= set(mine):
        raise ValueError(f"scheduler state must be driven by this model's layers {mine}, got {theirs}")
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
    measured = epochs - len(state["undone"])  # an undone epoch has decisions, and no history
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
