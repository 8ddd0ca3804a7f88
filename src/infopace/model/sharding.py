"""Weights that `fully_shard` (FSDP2) splits over processes: a process's part, the whole, and sums over all parts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def sharded(model: nn.Module) -> list[Any]:
    """The DTensors among a model's parameters: weights that are split over processes."""
    reshard(model)
    return [weight for weight in model.parameters() if is_sharded(weight)]


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, of which this process has a part."""
    # Where nobody has loaded the module, which takes seconds, there is none.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process has, without a gradient; of a plain tensor, all."""
    part: Any = tensor.detach()
    return part.to_local() if is_sharded(tensor) else part


def whole(tensor: Tensor) -> Tensor:
    """The whole of a DTensor, which is collective; a plain tensor as it is."""
    split: Any = tensor
    return split.full_tensor() if is_sharded(tensor) else tensor


def reshard(model: nn.Module) -> None:
    """Split weights over the processes that `fully_shard` has left whole, so that they are those of the optimizer.

    A forward pass without a gradient leaves the outermost weights whole. They would be out of date after a step.
    """
    for part in _of_fsdp(model, "FSDPModule"):
        part.reshard()


def has_flat_weights(model: nn.Module) -> bool:
    """Whether a model has the older FullyShardedDataParallel in it, which joins weights and splits the result."""
    return bool(_of_fsdp(model, "FullyShardedDataParallel"))


def _of_fsdp(model: nn.Module, kind: str) -> list[Any]:
    """The modules that are of a class of torch.distributed.fsdp."""
    # Where nobody has loaded it, which takes seconds, there are none.
    found = getattr(sys.modules.get("torch.distributed.fsdp"), kind, None)
    return [] if found is None else [module for module in model.modules() if isinstance(module, found)]


def sum_over_parts(numbers: Iterable[tuple[Tensor, float]]) -> float:
    """Add up a number for each tensor, and for a DTensor those of its parts on all processes, which is collective.

    A part that several processes have counts once.
    """
    total = 0.0
    sums: dict[tuple[Any, tuple[bool, ...]], float] = {}
    for tensor, number in numbers:
        if not is_sharded(tensor):
            total += number
            continue
        spread: Any = tensor
        layout = spread.device_mesh, tuple(placement.is_replicate() for placement in spread.placements)
        sums[layout] = sums.get(layout, 0.0) + number
    for (mesh, replicated), part in sums.items():
        from torch.distributed.tensor import DTensor, Partial, Replicate

        own = torch.tensor([part], dtype=torch.float64, device=mesh.device_type)
        placements = [Replicate() if same else Partial() for same in replicated]
        total += float(DTensor.from_local(own, mesh, placements, run_check=False).full_tensor())
    return total
