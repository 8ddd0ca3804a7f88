"""I(X;Y), the most that there is to learn from the inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from infopace._checks import check_seed, is_finite
from infopace.estimators import entropy, mutual_information
from infopace.probe._sampling import all_examples, is_pair
from infopace.probe._sources import Source
from infopace.probe._targets import Kind, Targets
from infopace.probe.batches import Unpack


def reference_of(
    data: Any, *, k: int = 3, norm: str = "euclidean", seed: int = 0, unpack: Unpack | None = None
) -> float:
    """I(X;Y) in nats of a whole data set, to be given as the reference of measurements.

    For labels it is H(Y), see `Measuring.reference` for labels of other kinds. For continuous targets it is a
    nearest-neighbour estimate (KSG) between inputs and targets, from all examples. It is more precise than the estimate
    from a probe's examples, and its cost grows with the square of their number.

    Every item is read, unless the labels are known without reading, as for `Probe.sample`.

        probe.measure(model, reference=reference_of(data))

    Args:
        data: As for `Probe.sample`.
        k: Neighbours.
        norm: "euclidean" or "chebyshev".
        seed: For items that are made with random numbers, as for `Probe.sample`.
        unpack: item -> (input, target), as for `Probe.sample`.

    Raises:
        ValueError: items with an unclear target; continuous targets with inputs that are not one tensor of floating
            numbers or pixels; an estimate that is not positive.
    """
    seed = check_seed(seed)
    if not is_pair(data) and unpack is None and (labels := Source(data).labels()) is not None:
        return entropy(labels)
    inputs, values = all_examples(data, seed, unpack)
    targets = Targets.of(values)
    if targets.kind is None:
        raise ValueError(
            "targets must be of a kind that can be known without a model, got numbers 0 and 1 in several columns; give "
            "booleans for several labels of yes or no, or measure a probe"
        )
    return ksg_reference(inputs, targets, k, norm) if targets.kind is Kind.NUMBERS else targets.entropy


def ksg_reference(inputs: Any, targets: Targets, k: int, norm: str) -> float:
    """The nearest-neighbour estimate of I(X;Y): KSG for continuous targets, Ross for labels."""
    if not isinstance(inputs, Tensor):
        raise ValueError(
            f"reference 'ksg' needs inputs in one tensor, got {type(inputs).__name__}; give a number"
        )
    if inputs.dtype == torch.uint8:  # pixels are numbers, not labels
        inputs = inputs.float()
    if not inputs.is_floating_point():
        kind = str(inputs.dtype).removeprefix("torch.")
        raise ValueError(f"reference 'ksg' needs floating inputs, got {kind}; give a number")
    if targets.kind not in (Kind.LABELS, Kind.NUMBERS):
        what = targets.kind.value if targets.kind else "others"
        raise ValueError(
            f"reference 'ksg' needs one label an example or continuous targets, got {what}; give a number"
        )
    estimator = "ross" if targets.kind is Kind.LABELS else "ksg1"
    with torch.autocast(inputs.device.type, enabled=False):
        nats = mutual_information(
            inputs, targets.values, k=k, norm=norm, estimator=estimator, standardize="block", std_error=False
        ).nats
    if not (is_finite(nats) and nats > 0):
        raise ValueError(
            f"reference 'ksg' must be a positive number of nats, got {nats:.3g}: these inputs say nothing about the "
            "targets; give a number"
        )
    return nats
