"""A workload's training set as the model takes it: cast, and in batches for code that wants a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from infopace.lab.workload import Workload


def caster(workload: Workload) -> Callable[[Tensor], Tensor]:
    """What turns a batch of stored inputs into what the workload's model is called with."""

    def cast(batch: Tensor) -> Tensor:
        inputs = workload.prepare(batch)
        return inputs.contiguous(memory_format=torch.channels_last) if workload.channels_last else inputs

    return cast


class Batches:
    """Batches of tensors in a new random order at each pass, drawn from torch's global generator."""

    def __init__(self, inputs: Tensor, targets: Tensor, size: int, cast: Callable[[Tensor], Tensor]) -> None:
        self._inputs, self._targets, self._size, self._cast = inputs, targets, size, cast

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self._inputs)).to(self._inputs.device).split(self._size):
            yield self._cast(self._inputs[rows]), self._targets[rows]
