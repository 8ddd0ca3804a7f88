"""Which of two signals drives a policy: the neighbour estimate, or usable information."""

from __future__ import annotations

from typing import Literal

from infopace.probe._targets import Kind, Targets

SIGNALS = ("auto", "usable", "neighbours")
# Kinds of targets that have distances, or classes to compare distances in.
_SOUND = (Kind.LABELS, Kind.NUMBERS)


def driving_signal(targets: Targets, wanted: str) -> tuple[Literal["usable", "neighbours"], str]:
    """The signal that drives, and why. What "auto" takes is decided here and nowhere else.

    Raises:
        ValueError: neighbours are wanted for targets without a distance.
    """
    why = without_distance(targets)
    if wanted == "neighbours" and why:
        raise ValueError(f"signal 'neighbours' needs one label an example or continuous targets, got {why}")
    if wanted == "usable":
        return "usable", "usable information, as asked for"
    if wanted == "neighbours":
        return "neighbours", "neighbours, as asked for"
    assert targets.kind is not None, "known once there are scores"
    if why:
        return "usable", f"usable information: neighbours are not sound for {why}"
    return "neighbours", f"neighbours: the default for {targets.kind.value}"


def without_distance(targets: Targets) -> str:
    """What the targets are, if neighbours are not sound for them; "" if they are."""
    if targets.kind not in _SOUND:
        return "targets of unknown kind" if targets.kind is None else targets.kind.value
    return "targets of which some do not count" if targets.mask is not None else ""
