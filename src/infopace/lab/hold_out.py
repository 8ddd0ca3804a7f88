"""Training rows that are kept out of training, so that information is measured on what the network has not seen."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from infopace.lab.errors import InputError
from infopace.lab.workload import Data


def hold_out(data: Data, share: float) -> tuple[Data, tuple[Tensor, Tensor]]:
    """(what is trained on, the rows kept out): the last `share` of the rows, of each class where there are classes.

    The last and not random ones: where data come in the order of time, their neighbours in time are kept out with
    them, and what the network has memorized of a day tells nothing of another.

    Raises InputError where a part, or a class in one of them, would be empty, or images are decoded as they come.
    """
    inputs, targets = data.train_inputs, data.train_targets
    if not isinstance(inputs, Tensor):
        raise InputError("held_out needs a training set in memory, got images that are decoded as they come")
    groups = [torch.arange(len(targets))]
    if not targets.is_floating_point():
        groups = [(targets == label).nonzero()[:, 0] for label in targets.unique()]
    kept = torch.zeros(len(targets), dtype=torch.bool)
    for rows in groups:
        amount = round(share * len(rows))
        if not 0 < amount < len(rows):
            of = "" if len(groups) == 1 else f" of class {targets[rows[0]]}"
            raise InputError(
                f"held_out must leave rows{of} on both sides, got held_out = {share:g} of {len(rows)} rows"
            )
        kept[rows[-amount:]] = True
    rest = dataclasses.replace(data, train_inputs=inputs[~kept], train_targets=targets[~kept])
    return rest, (inputs[kept], targets[kept])
