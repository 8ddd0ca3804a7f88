"""The state of a scheduler, as plain numbers: is it one that this scheduler can go on from?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VERSION = 1
# What a state of this version has had from the first.
_ALWAYS = frozenset(
    {
        "last_epoch",
        "step_count",
        "base_lrs",
        "last_lr",
        "reference",
        "driving_layers",
        "history",
        "decisions",
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
    for name, mine in (("driving_layers", driving_layers), ("history", layers)):
        theirs = list(state[name])
        if theirs != list(mine):
            raise ValueError(f"scheduler state must be of this model's layers {list(mine)}, got {theirs}")
    theirs = state.get("held_out_rows", 0)
    if theirs != held_out_rows:
        raise ValueError(f"scheduler state must be of {held_out_rows} held-out rows, got one of {theirs}")
    held_out, pointwise = (state.get(f"held_out_{part}", {}) for part in ("history", "pointwise"))
    looks = {layer: len(values) for layer, values in held_out.items()}
    with_rows = {layer: len(rows) for layer, rows in pointwise.items() if len({*map(len, rows)}) == 1}
    if looks != with_rows:
        raise ValueError(
            f"scheduler state must hold the held-out rows of all looks at them, {looks}, got {with_rows}"
        )
    if state["reference"] != reference:
        raise ValueError(
            f"scheduler state must be of this probe, with reference {reference}, got {state['reference']}"
        )
    _check_lengths(state, len(driving_layers))


def _check_lengths(state: Mapping[str, Any], groups: int) -> None:
    epochs = len(state["decisions"])
    kept = epochs - len(state.get("undone", ()))  # an undone epoch has decisions, and no history
    parts = [(f"the history of {layer}", len(v), kept) for layer, v in state["history"].items()]
    parts += [(f"decisions of epoch {e}", len(d), groups) for e, d in enumerate(state["decisions"], 1)]
    names = [name for name in ("base_lrs", "last_lr", "group_lrs") if name in state]
    parts += [(name, len(state[name]), groups) for name in names]
    for name, got, wanted in parts:
        if got != wanted or epochs == 0:
            raise ValueError(
                f"scheduler state must fit together, {epochs} epochs of {groups} groups, got {got} in {name}"
            )
