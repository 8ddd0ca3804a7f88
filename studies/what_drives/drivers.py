"""What the rule reads: information, or the plain loss, of examples that are trained on or held out."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from infopace import MutualInformationLR, Probe
from infopace.lab import training
from infopace.probe import LayerInformation, Measuring
from infopace.probe._pass import Scored


class LossProbe(Probe):
    """A probe whose estimate is the plain loss, in nats below that of the best constant prediction."""

    def _measure_output(self, output: Scored, measuring: Measuring) -> LayerInformation:
        found = super()._measure_output(output, measuring)
        each = less_loss(output.scores.double(), output.values)
        estimate = dataclasses.replace(
            found.estimate,
            nats=float(each.mean()),
            std_error=float(each.std()) / math.sqrt(len(each)),
            bias=0.0,
            pointwise=each,
            choice="the plain loss",
        )
        return dataclasses.replace(found, estimate=estimate)


def less_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """(n,) by how much the loss of each example is less than without inputs.

    Args:
        scores: (n, C) or (n, P, C) logits of labels, or predictions in the shape of the targets.
        targets: (n,) or (n, P) labels, or numbers.

    Raises:
        ValueError: labels with one score for two classes.
    """
    if targets.is_floating_point():
        numbers = targets.double().reshape(len(targets), -1)
        centre, spread = numbers.mean(0), numbers.var(0, correction=0)
        errors = (numbers - scores.reshape(numbers.shape)).square()
        return (((numbers - centre).square() - errors) / (2 * spread)).sum(1)
    if scores.shape[:-1] != targets.shape:
        raise ValueError(
            f"scores must be (.., C) for labels {tuple(targets.shape)}, got {tuple(scores.shape)}"
        )
    labels = targets.long().flatten()
    shares = torch.bincount(labels).double() / len(labels)
    losses = F.cross_entropy(scores.flatten(0, -2), labels, reduction="none")
    return (-shares.log()[labels] - losses).reshape(len(targets), -1).mean(1)


def by_held_out(
    optimizer: Optimizer, model: nn.Module, probe: Probe, *rest: Any, held_out: Probe | None, **choices: Any
) -> MutualInformationLR:
    """The scheduler, which reads held-out examples as its probe too, where there are any."""
    return MutualInformationLR(optimizer, model, held_out or probe, *rest, held_out=held_out, **choices)


# By name what is exchanged in the lab, and the share to hold out; None: the default.
DRIVERS: dict[str, tuple[dict[str, Any], float | None]] = {
    "information": ({}, None),
    "held-out loss": ({"Probe": LossProbe, "MutualInformationLR": by_held_out}, None),
    "training loss": ({"Probe": LossProbe}, 0.0),
    "training information": ({}, 0.0),
    "loss": ({"Probe": LossProbe}, None),
}


@contextlib.contextmanager
def driven_by(name: str) -> Iterator[float | None]:
    """Within it runs of the lab are driven so; gives the share to hold out."""
    exchanged, share = DRIVERS[name]
    with mock.patch.multiple(training, **exchanged) if exchanged else contextlib.nullcontext():
        yield share
