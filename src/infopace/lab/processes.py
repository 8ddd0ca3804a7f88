"""The processes of one run, as torchrun starts them: joining them, the model that they train, and their shares."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence

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


def as_one(model: nn.Module, processes: Processes, loss_of: Callable[[nn.Module], Tensor]) -> nn.Module:
    """A model whose gradients are averaged over the processes; its weights and its keys stay those of `model`.

    `loss_of` gives a training loss of it. After the first one torch changes the order in which it sums, so that a
    resumed run would differ in its last bits. This one is not trained on.
    """
    if not processes.several:
        return model
    together = nn.parallel.DistributedDataParallel(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    loss_of(together).backward()
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)
    return together


class Parts:
    """A process's parts of the batches of an epoch. Together the processes train on the batches that one would.

    A batch with too few examples for all is trained on as a whole by each.

    Attributes:
        own: The examples of each batch that this process trains on.
    """

    def __init__(self, batches: Sequence[Tensor], processes: Processes) -> None:
        self._batches, self._processes = batches, processes
        self._wholes = [len(batch) < _FEWEST * processes.count for batch in batches]
        self.own = [
            batch if whole else batch[processes.rank :: processes.count]
            for batch, whole in zip(batches, self._wholes, strict=True)
        ]

    def share(self, number: int) -> float:
        """The share of a batch's loss that comes from this process."""
        if self._wholes[number]:
            return 1 / self._processes.count
        return len(self.own[number]) / len(self._batches[number])

    def weighted(self, loss: Tensor, number: int) -> Tensor:
        """The loss of which the gradient, averaged over the processes, is that of the whole batch."""
        return loss * (self.share(number) * self._processes.count) if self._processes.several else loss

    def of_all(self, loss: Tensor, number: int) -> Tensor:
        """The loss of the whole batch."""
        if not self._processes.several:
            return loss
        own = float(loss.detach()) * self.share(number)
        return torch.tensor(sum(self._processes.gather("the loss of a batch", own)), device=loss.device)

    def mean(self, losses: Sequence[Tensor], *, only_finite: bool = False) -> float:
        """The mean training loss of the epoch, or of its batches with a finite one; nan where there is none."""
        shares = [len(batch) * self.share(number) for number, batch in enumerate(self._batches)]
        found = torch.stack(list(losses)).double()
        sizes = torch.tensor(shares, dtype=torch.float64, device=found.device)
        if only_finite:
            sizes, found = sizes[found.isfinite()], found[found.isfinite()]
        parts = self._processes.gather("the training loss", (float(found @ sizes), float(sizes.sum())))
        count = sum(size for _, size in parts) if only_finite else sum(map(len, self._batches))
        return sum(loss for loss, _ in parts) / count if count else math.nan

    def first_not_finite(self, losses: Sequence[Tensor]) -> int | None:
        """The first batch whose loss is not finite, on any process."""
        finite = torch.isfinite(torch.stack(list(losses))).tolist()
        own = finite.index(False) if False in finite else len(finite)
        first = min(self._processes.gather("the first loss that is not finite", own))
        return first if first < len(finite) else None


def own_draws(seed: int, epoch: int, processes: Processes, of_the_epoch: torch.Generator) -> torch.Generator:
    """The generator of this process's augmentation: on rank 0 that of the epoch, on the others streams of their own.

    torch's global generator is seeded alike.
    """
    if processes.rank == 0:
        return of_the_epoch
    draws = np.random.SeedSequence([seed, epoch, processes.rank]).generate_state(2, np.uint64)
    torch.manual_seed(int(draws[0]) >> 1)
    return torch.Generator().manual_seed(int(draws[1]) >> 1)
