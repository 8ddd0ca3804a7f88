"""Several processes that train one model: what each must know of the others, and errors that all of them raise."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from infopace._checks import shown

T = TypeVar("T")
# Of another process's error, so that the message stays one readable line.
_LONGEST = 300


class ProcessError(RuntimeError):
    """Another process failed, or does something else; the message names its rank."""


@dataclass(frozen=True)
class Processes:
    """The processes that train one model, as one of them sees them. One alone exchanges nothing.

    All methods are collective: every process must call them, in the same order.

    Attributes:
        rank: The number of this process in the group, from 0.
        count: The number of processes.
        group: torch's process group; None: the default one.
        device: Where this process keeps tensors that it gets from others' accelerators.
    """

    rank: int = 0
    count: int = 1
    group: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    def gather(self, what: str, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks, on each of them.

        Values may be all that pickle can copy. Tensors on an accelerator come to this process's own.

        Raises:
            ProcessError: another process is at another point of its program, or has ended.
        """
        if not self.several:
            return [value]
        sent = io.BytesIO()
        torch.save(value, sent)
        arrived: list[Any] = [None] * self.count
        with self._exchange(what):
            dist.all_gather_object(arrived, (what, str(self.device), sent.getvalue()), self.group)
        others = [f"rank {rank} is at {place!r}" for rank, (place, *_) in enumerate(arrived) if place != what]
        if others:
            raise ProcessError(
                f"all processes must be at the same point, got rank {self.rank} at {what!r} while {others[0]}"
            )
        return [
            value
            if rank == self.rank
            else torch.load(io.BytesIO(content), map_location={place: str(self.device)}, weights_only=False)
            for rank, (_, place, content) in enumerate(arrived)
        ]

    def from_first(self, what: str, make: Callable[[], T]) -> T:
        """What `make` returns, or raises, on rank 0. It is not called on the others, and must not be collective."""
        if not self.several:
            return make()
        answer: Any = None
        own: Exception | None = None
        if self.rank == 0:
            try:
                answer = make(), None
            except Exception as error:
                answer, own = (None, _sendable(error)), error
        result, error = self.gather(what, answer)[0]
        if error is not None:
            raise own or error
        return result

    def broadcast(self, what: str, tensor: Tensor, source: int = 0) -> None:
        """Fill a contiguous tensor with that of the process `source`."""
        if self.several and tensor.numel():
            with self._exchange(what):
                # As bytes, because not every backend knows every type.
                dist.broadcast(tensor.view(-1).view(torch.uint8), group=self.group, group_src=source)

    def agree(self, values: Mapping[str, Any], hint: str = "") -> None:
        """Raise ValueError for the first of some named values that is not equal on all processes.

        Args:
            values: What must be equal, by the name that the message gives it.
            hint: What to do, for the message.
        """
        gathered = self.gather(f"comparing {', '.join(values)}", dict(values))
        for name, first in gathered[0].items():
            differing = [rank for rank, theirs in enumerate(gathered) if theirs[name] != first]
            if differing:
                ranks = f"rank{'s' * (len(differing) > 1)} {', '.join(map(str, differing))}"
                raise ValueError(
                    f"{name} must be equal on all {self.count} processes, got {shown(first)} on rank 0 and "
                    f"{shown(gathered[differing[0]][name])} on {ranks}{hint and f'; {hint}'}"
                )

    @contextlib.contextmanager
    def together(self, what: str) -> Iterator[None]:
        """Where one process raises inside, all raise at the end; inside, nothing may be collective.

        Raises:
            ProcessError: another process has raised. The one that has raised raises its own error.
        """
        if not self.several:
            yield
            return
        own: Exception | None = None
        try:
            yield
        except Exception as error:
            own = error
        try:
            reports = self.gather(what, None if own is None else _line(own))
        except ProcessError:
            if own is None:
                raise
            reports = []
        if own is not None:
            raise own
        for rank, report in enumerate(reports):
            if report is not None:
                raise ProcessError(f"{what} failed on rank {rank} of {self.count} processes: {report}")

    @contextlib.contextmanager
    def _exchange(self, what: str) -> Iterator[None]:
        on_accelerator = self.device.type == "cuda"
        try:
            # With NCCL, objects travel by way of the current device.
            with torch.cuda.device(self.device) if on_accelerator else contextlib.nullcontext():
                yield
        except RuntimeError as error:  # the backends have no class of their own for it
            raise ProcessError(
                f"{what} failed, because another of {self.count} processes has ended or does something else; "
                f"its own output says why ({_line(error)})"
            ) from error


ALONE = Processes()


def processes_of(model: nn.Module) -> Processes:
    """The processes that train a model, from its wrapper or its sharded weights, or else all that torch knows."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    group = _group_of(model)
    count, rank = dist.get_world_size(group), dist.get_rank(group)
    if count < 2 or rank < 0:
        return ALONE
    if (
        device.type == "cpu" and dist.get_backend(group) == "nccl"
    ):  # sharded weights that wait in the computer's memory
        device = torch.device("cuda", torch.cuda.current_device())
    return Processes(rank, count, group, device)


def _group_of(model: nn.Module) -> Any:
    for module in model.modules():  # torch.compile may be around the wrapper
        if isinstance(module, nn.parallel.DistributedDataParallel):
            return module.process_group
    meshes = {weight.device_mesh for weight in sharded(model)}
    # With several dimensions of a mesh all of its processes see the same examples.
    return meshes.pop().get_group() if len(meshes) == 1 and next(iter(meshes)).ndim == 1 else None


def sharded(model: nn.Module) -> list[Any]:
    """The DTensors among a model's parameters: weights that are split over processes."""
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


def digest(tensors: Iterable[Tensor]) -> str:
    """A short text that differs where the numbers, types or shapes of some tensors do."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def _sendable(error: Exception) -> Exception:
    """The error, or one with its text where pickle cannot copy it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error may have any class
        return ProcessError(f"rank 0 failed: {_line(error)}")
    return error


def _line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}.."
