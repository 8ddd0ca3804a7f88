"""A workload's training set as the model takes it: cast, and in batches for code that wants a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from infopace.lab.lazy_images import LazyImages, in_turn
from infopace.lab.workload import Workload


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
