"""A workload's training set as the model takes it: cast, and in batches for code that wants a data loader."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from infopace.lab.errors import InputError
from infopace.lab.lazy_images import LazyImages, in_turn
from infopace.lab.workload import Data, Rows, Workload

# A neighbour estimate with k = 3 needs more than 3 rows, one within classes two of each.
_FEWEST, _FEWEST_OF_CLASS = 4, 2


def caster(workload: Workload) -> Callable[[Tensor], Tensor]:
    """What turns a batch of stored inputs into what the workload's model is called with."""

    def cast(batch: Tensor) -> Tensor:
        inputs = workload.prepare(batch)
        return inputs.contiguous(memory_format=torch.channels_last) if workload.channels_last else inputs

    return cast


def spans(n: int, size: int) -> list[slice]:
    """The batches of n examples in order, all of `size` but the last.

    One example that is left joins the batch before: batch norm cannot train on it alone, and many a model loses its
    first dimension. Batches of one are only made where they are asked for.
    """
    starts = list(range(0, n, size))
    if size > 1 and n > size and n % size == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=False)]


def in_batches(order: Tensor, size: int) -> list[Tensor]:
    """The numbers of examples (n,) in `spans`."""
    return [order[span] for span in spans(len(order), size)]


class Batches:
    """A training set in batches, augmented as in training, in a new random order at each pass.

    The order and the augmentation are drawn from torch's global generator.
    """

    def __init__(self, inputs: Tensor | LazyImages, targets: Tensor, workload: Workload) -> None:
        self._inputs, self._targets, self._workload = inputs, targets, workload
        self._cast = caster(workload)

    def __len__(self) -> int:
        return len(spans(len(self._targets), self._workload.batch_size))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        augment = self._workload.augment
        order = torch.randperm(len(self._targets)).to(self._targets.device)
        batches = in_batches(order, self._workload.batch_size)
        for rows, inputs in zip(batches, in_turn(self._inputs, batches), strict=True):
            images = inputs if augment is None else augment(inputs, torch.default_generator)
            yield self._cast(images), self._targets[rows]


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
