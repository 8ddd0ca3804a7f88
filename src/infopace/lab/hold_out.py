"""Training rows that are kept out of training for a while, to tell what is learned from what is memorized."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from infopace.lab.errors import InputError
from infopace.lab.lazy_images import LazyImages
from infopace.lab.workload import Data, Rows

# A neighbour estimate with k = 3 needs more than 3 rows, one within classes two of each.
_FEWEST, _FEWEST_OF_CLASS = 4, 2


def hold_out(data: Data, share: float) -> tuple[Data, Rows]:
    """(what is trained on, the rows kept out), as `which_rows` says."""
    kept = which_rows(data.train_targets, share)
    return _part(data, ~kept), _part(data, kept).train_set()


def which_rows(targets: Tensor, share: float) -> Tensor:
    """(n,) bool: the last `share` of the rows, of each class where there are classes.

    The last and not random ones: where data come in the order of time, their neighbours in time are kept out with
    them, and what the network has memorized of a day tells nothing of another.

    Raises InputError where too few rows for a measurement would be kept out, of a class or of all, or none left.
    """
    groups, fewest = [torch.arange(len(targets))], _FEWEST
    if not targets.is_floating_point():
        groups, fewest = [(targets == label).nonzero()[:, 0] for label in targets.unique()], _FEWEST_OF_CLASS
    kept = torch.zeros(len(targets), dtype=torch.bool)
    for rows in groups:
        amount = round(share * len(rows))
        if not fewest <= amount < len(rows):
            of = "" if fewest == _FEWEST else f" of class {targets[rows[0]]}"
            raise InputError(
                f"held_out must take {fewest} rows{of} or more and leave some, "
                f"got held_out = {share:g} of {len(rows)} rows"
            )
        kept[rows[-amount:]] = True
    return kept


def _part(data: Data, rows: Tensor) -> Data:
    inputs = data.train_inputs
    some = inputs.take(rows) if isinstance(inputs, LazyImages) else inputs[rows]
    return dataclasses.replace(data, train_inputs=some, train_targets=data.train_targets[rows])
