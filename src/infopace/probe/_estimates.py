"""Outputs of layers and of the model, with their targets -> estimates."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from infopace._checks import warn
from infopace.estimators import (
    Estimate,
    OutOfRangeError,
    decoder_bound,
    ridge_information,
    usable_information,
)
from infopace.estimators._components import principal_components
from infopace.estimators._decoder import are_probabilities
from infopace.estimators._mutual_information import information_of_outputs
from infopace.estimators._ridge_inputs import vectors_of_positions
from infopace.probe._measuring import LayerInformation, Measuring
from infopace.probe._pass import Scored
from infopace.probe._signal import driving_signal, has_shape_of_scores, hidden_signal
from infopace.probe._targets import Kind, Targets

_RIDGE = {
    Kind.LABELS: "classes",
    Kind.NUMBERS: "regression",
    Kind.POSITIONS: "positions",
    Kind.MULTI_LABEL: "multi-label",
    Kind.SOFT: "soft",
}
# How far apart the outputs of a sigmoid are where it has learned something.
_WIDE = 0.9


def of_layer(
    name: str, values: Tensor, targets: Targets, measuring: Measuring, shifted: bool = False
) -> LayerInformation | str:
    """The information in a hidden layer: what a ridge classifier or regression reads, or what neighbours find.

    Where positions have targets, the layer must have a vector for each. A layer that has not is an error if `measuring`
    is strict, and else the reason is returned. `shifted`: the vector at a position is for the target at the next.

    Raises:
        ValueError: values that are not finite, or that have no vector for each position with a target.
    """
    flat = values.reshape(len(values), -1)
    width = flat.shape[1]
    with _fitting(f"layer {name!r}", values.device):
        hidden = hidden_signal(targets, measuring.signal, measuring.hidden)
        if hidden != "usable":
            found = by_neighbours_in_layer(flat, targets, measuring, measuring.std_error)
            return LayerInformation(name, found, None, width, neighbours=found)
        assert targets.kind is not None, "known before layers are measured"
        kind, mask = _RIDGE[targets.kind], None
        if kind == "positions":
            flat, mask, shape = values, targets.mask, targets.values.shape
            if shifted and values.ndim == 3 and values.shape[1] == shape[1] + 1:
                flat = values[:, :-1]
            if not measuring.is_strict and vectors_of_positions(flat, targets.values) is None:
                what = f"outputs {tuple(values.shape)} have no vector for each position of {tuple(shape)}"
                return f"was not measured, because {what}"
        found = ridge_information(flat, targets.values, mask, kind=kind)
    return LayerInformation(name, found, None, width, usable=found)


def of_output(output: Scored, targets: Targets, measuring: Measuring, note: str = "") -> LayerInformation:
    """The information at the output: the signal that drives, and what costs little beside it.

    Args:
        output: The scores, and the targets at those positions that are kept.
        targets: All targets.
        measuring: What is measured.
        note: What is to be known about the scores; it follows the choice of the signal.

    Raises:
        ValueError: values that are not finite, or that do not fit the targets.
    """
    scores = output.scores
    signal, why = driving_signal(targets, measuring.signal, scores)
    flat = scores.reshape(len(scores), -1)
    # Labels out of range are an error here: more often a mistake than outputs that are no scores.
    beside = measuring.decoder and has_shape_of_scores(scores, targets)
    neighbours = usable = decoder = None
    with _fitting("the output", scores.device):
        if signal == "neighbours":
            neighbours = by_neighbours(flat, targets, measuring, measuring.std_error)
        if beside and targets.kind is Kind.LABELS:
            decoder = decoder_bound(flat, targets.values)
        if signal == "usable" or beside:
            usable = _usable(output, targets, measuring.sharpen)
            _warn_of_sigmoid(scores, targets)
    _warn_of_classes(scores, targets)
    driving = neighbours if signal == "neighbours" else usable
    assert driving is not None, "the signal that drives was computed"
    estimate = dataclasses.replace(driving, choice=why + note)
    return LayerInformation("output", estimate, decoder, output.width, neighbours, usable)


def by_neighbours(values: Tensor, targets: Targets, measuring: Measuring, std_error: bool) -> Estimate:
    """I(T;Y) of values (n, d): by the estimators of the paper, which are fast enough for every epoch."""
    return information_of_outputs(
        values,
        targets.values,
        k=measuring.k,
        norm=measuring.norm,
        estimator="ross" if targets.kind is Kind.LABELS else "ksg1",
        std_error=std_error,
    )


def by_neighbours_in_layer(
    values: Tensor, targets: Targets, measuring: Measuring, std_error: bool
) -> Estimate:
    """As `by_neighbours`, of a hidden layer's values (n, d), or of their principal components."""
    if hidden_signal(targets, measuring.signal, measuring.hidden) == "neighbours":
        return by_neighbours(values, targets, measuring, std_error)
    parts = principal_components(values)
    found = by_neighbours(parts, targets, measuring, std_error)
    return dataclasses.replace(found, choice=f"neighbours in {parts.shape[1]} principal components")


def _usable(output: Scored, targets: Targets, sharpen: bool) -> Estimate:
    """Usable information, of each kind of targets in its own form."""
    scores, values, n = output.scores, output.values, len(output.scores)
    if targets.kind is Kind.LABELS:
        return usable_information(scores.reshape(n, -1), targets.values, kind="classes", sharpen=sharpen)
    if targets.kind is Kind.POSITIONS:
        if scores.numel() == values.numel():  # one number for two classes
            scores, values = scores.reshape(n, -1, 1), values.reshape(n, -1)
        mask = None if output.mask is None else output.mask.reshape(values.shape)
        return usable_information(scores, values.long(), mask, kind="tokens", sharpen=sharpen)
    if targets.kind is not Kind.SOFT:  # a number for each target
        scores = scores.reshape(values.shape) if scores.numel() == values.numel() else scores
    kind = {Kind.MULTI_LABEL: "multi-label", Kind.SOFT: "soft"}.get(
        targets.kind or Kind.NUMBERS, "regression"
    )
    return usable_information(scores, values, output.mask, kind=kind, sharpen=sharpen)


def _warn_of_sigmoid(scores: Tensor, targets: Targets) -> None:
    """Warn of numbers that look like probabilities each. Those of all classes are known by their sum, and read."""
    if targets.kind not in (Kind.LABELS, Kind.MULTI_LABEL):
        return
    low, high = (float(value) for value in torch.aminmax(scores))
    # Logits hardly lie between these, and wide apart there.
    if low < 0 or high > 1 or high - low < _WIDE:
        return
    if (
        targets.kind is Kind.MULTI_LABEL
        or scores.ndim < 2
        or not are_probabilities(low, scores.flatten(1).sum(1))
    ):
        warn(
            "outputs must be logits, got numbers between 0 and 1, as of a sigmoid; give the probe a forward that "
            "returns their logit, torch.logit(outputs, 1e-6)"
        )


def _warn_of_classes(scores: Tensor, targets: Targets) -> None:
    """Warn of class numbers that are floats, and of which a classifier has an output each."""
    values = targets.values
    if targets.kind is not Kind.NUMBERS or scores.numel() == values.numel() or values.numel() != len(values):
        return
    columns = scores[0].numel()
    if bool((values == values.round()).all()) and float(values.min()) >= 0 and float(values.max()) < columns:
        warn(
            f"targets must be whole numbers where they are classes, got {values.dtype} from 0 to {columns - 1}, which "
            "are read as quantities; give targets.long()"
        )


@contextlib.contextmanager
def _fitting(what: str, device: torch.device) -> Iterator[None]:
    """Without autocast, under which the pass may run; an error says that a layer does not fit."""
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    except ValueError as error:
        kind = OutOfRangeError if isinstance(error, OutOfRangeError) else ValueError
        raise kind(f"{what} does not fit the probe: {error}") from error
