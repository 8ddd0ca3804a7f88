"""A workload's training set as batches, for code that takes a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class Batches:
    """Batches of tensors in a new random order at each pass, drawn from torch's global generator."""

    def __init__(
        self, inputs: Tensor, targets: Tensor, size: int, prepare: Callable[[Tensor], Tensor]
    ) -> None:
        self._inputs, self._targets, self._size, self._prepare = inputs, targets, size, prepare

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self._inputs)).to(self._inputs.device).split(self._size):
            yield self._prepare(self._inputs[rows]), self._targets[rows]
