"""The processes of one run, as torchrun starts them: joining them, the model that they train, and their shares."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from infopace.model import Processes, processes_of

# What torchrun says to each process that it starts.
_SAID = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# Batch norm cannot train on one example.
_FEWEST = 2


def processes_started() -> int:
    """How many processes torchrun has started, this one among them; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _SAID) else 1


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun has started with this one, which are let go at the end; without it, this one."""
    if processes_started() < 2 or dist.is_initialized():
        yield processes_of()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group()
    try:
        yield processes_of()
    finally:
        dist.destroy_process_group()


def as_one(model: nn.Module, processes: Processes) -> nn.Module:
    """A model whose gradients are averaged over the processes; its weights and its keys stay those of `model`."""
    return nn.parallel.DistributedDataParallel(model) if processes.several else model


def own_part(batch: Tensor, processes: Processes) -> tuple[Tensor, float]:
    """The examples of a batch (n,) that this process trains on, and which share of the batch's loss they are.

    Together the processes train on the batch that one process would. A batch with too few examples for all is trained
    on as a whole by each.
    """
    if len(batch) < _FEWEST * processes.count:
        return batch, 1 / processes.count
    own = batch[processes.rank :: processes.count]
    return own, len(own) / len(batch)


def own_draws(seed: int, epoch: int, processes: Processes, of_the_epoch: torch.Generator) -> torch.Generator:
    """The generator of this process's augmentation: on rank 0 that of the epoch, on the others streams of their own.

    torch's global generator is seeded alike.
    """
    if processes.rank == 0:
        return of_the_epoch
    draws = np.random.SeedSequence([seed, epoch, processes.rank]).generate_state(2, np.uint64)
    torch.manual_seed(int(draws[0]) >> 1)
    return torch.Generator().manual_seed(int(draws[1]) >> 1)
