"""Which of two signals drives a policy: usable information, or the neighbour estimate."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from infopace.probe._targets import Kind, Targets

SIGNALS = ("auto", "usable", "neighbours")
HIDDEN = ("auto", "usable", "components", "neighbours")
# Kinds of targets that have distances, or classes to compare distances in.
_SOUND = (Kind.LABELS, Kind.NUMBERS)


def driving_signal(
    targets: Targets, wanted: str, scores: Tensor
) -> tuple[Literal["usable", "neighbours"], str]:
    """The signal that drives, and why. What "auto" takes is decided here and nowhere else.

    It takes usable information: as a guide it was as good as neighbours on ten workloads, it takes less time, and it
    serves every kind of target (`studies/usable_information`).

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
    if why or are_scores(scores, targets):
        return "usable", f"usable information: the default for {targets.kind.value}"
    return "neighbours", f"neighbours: outputs of shape {tuple(scores.shape)} are no scores for the targets"


def are_scores(scores: Tensor, targets: Targets) -> bool:
    """Whether the output can be scores: it has their shape, and a class for each label."""
    if targets.kind is not Kind.LABELS or not has_shape_of_scores(scores, targets):
        return has_shape_of_scores(scores, targets)
    classes = max(scores[0].numel(), 2)  # one column is the logit of label 1 of two
    return int(targets.values.min()) >= 0 and int(targets.values.max()) < classes


def has_shape_of_scores(scores: Tensor, targets: Targets) -> bool:
    """Whether the output has the shape of scores: one dimension of classes, or a number for each target."""
    if targets.kind is Kind.LABELS:
        return scores.ndim < 3 or scores.shape[1] == scores[0].numel()
    return scores.numel() == targets.values.numel()


def without_distance(targets: Targets) -> str:
    """What the targets are, if neighbours are not sound for them; "" if they are."""
    if targets.kind not in _SOUND:
        return "targets of unknown kind" if targets.kind is None else targets.kind.value
    return "targets of which some do not count" if targets.mask is not None else ""


def hidden_signal(targets: Targets, signal: str, hidden: str) -> str:
    """What drives in hidden layers. What "auto" takes is decided here and nowhere else.

    It takes neighbours where they drive at the output too, as in the papers. Else it takes what a ridge classifier
    reads. Of quantities a linear reader sees little change in the first layers, and neighbours in principal components
    were the better guide (`studies/layer_signal`).
    """
    if hidden != "auto":
        return hidden
    if signal == "neighbours":
        return "neighbours"
    return "components" if targets.kind is Kind.NUMBERS and not without_distance(targets) else "usable"


def unread(targets: Targets, signal: str, hidden: str) -> str:
    """Why no hidden layer can be measured for such targets; "" if they can."""
    if hidden_signal(targets, signal, hidden) != "usable":
        why = without_distance(targets)
        return f"neighbours are not sound for {why}" if why else ""
    if targets.kind is Kind.SOFT and targets.values.ndim > 2:
        return "a ridge classifier takes soft labels of one position, got more"
    if targets.mask is not None and targets.kind not in (Kind.POSITIONS, Kind.LABELS):
        return "a ridge regression takes whole examples, got targets of which some do not count"
    return ""
