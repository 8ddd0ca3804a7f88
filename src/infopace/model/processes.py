"""Several processes that train one model: what each must know of the others, and errors that all of them raise."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from infopace._checks import shown
from infopace.model.sharding import sharded

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
        device: The device of the tensors that travel.
        in_step: Whether a forward pass is itself collective, because weights are split over the processes.
        deals: Whether each may run other examples. Processes that have parts of one layer must not.
    """

    rank: int = 0
    count: int = 1
    group: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    in_step: bool = False
    deals: bool = True

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
        content = io.BytesIO()
        own: list[Tensor] = []
        _Packer(content, own).dump(value)
        kinds = [(tensor.shape, tensor.dtype, tensor.device.type == "cpu") for tensor in own]
        arrived: list[Any] = [None] * self.count
        with self.exchange(what):
            dist.all_gather_object(arrived, (what, content.getvalue(), kinds), self.group)
            others = [f"rank {rank} is at {at!r}" for rank, (at, *_) in enumerate(arrived) if at != what]
            if others:
                raise ProcessError(
                    f"all processes must be at the same point, got rank {self.rank} at {what!r} while {others[0]}"
                )
            found = []
            for rank, (_, packed, theirs) in enumerate(arrived):
                parts = [
                    self._sent(own[i] if rank == self.rank else None, kind, rank)
                    for i, kind in enumerate(theirs)
                ]
                found.append(value if rank == self.rank else _Unpacker(io.BytesIO(packed), parts).load())
        return found

    def from_first(self, what: str, make: Callable[[], T], *, on_all: bool = False) -> T:
        """What `make` returns or raises on rank 0.

        Args:
            what: For messages, what is made.
            make: Called on rank 0, where it must not be collective.
            on_all: It is called on all processes, and may be collective. All have the same to work with, so the others
                find the same, but for the last bits.
        """
        if not self.several:
            return make()
        answer: Any = None
        error: Exception | None = None
        if on_all or self.rank == 0:
            try:
                answer = make()
            except Exception as raised:
                error = raised
        failed = None if error is None else (_sendable(error), _line(error))
        answers = self.gather(what, (answer if self.rank == 0 else None, failed))
        answer, first = answers[0]
        if first is not None:
            # One that names another process is known here too, by that name or as this process's own.
            known = self.rank == 0 or isinstance(first[0], ProcessError)
            raise error if known and error is not None else first[0]
        self._raise_failed(what, error, [failed and failed[1] for _, failed in answers])
        return answer

    def dealt(self, what: str, jobs: int, run: Callable[[int], T]) -> list[T]:
        """What `run` returns for job 0, 1, .., each of which is run by one process, in order, on all processes.

        All processes run equally many, so the last may run one again. Where one raises, all raise.

        Raises:
            ProcessError: a job failed on another process. That one raises its own error.
        """
        if not (self.several and self.deals):
            return [run(job) for job in range(jobs)]
        done: dict[int, T] = {}
        error: Exception | None = None
        try:
            for turn in range(0, jobs, self.count):
                job = turn + self.rank
                result = run(job if job < jobs else 0)
                if job < jobs:
                    done[job] = result
        except Exception as raised:
            if self.in_step:  # the others wait in the middle of the job, and cannot be reached
                raise
            error = raised
        answers = self.gather(what, (None if error is None else _line(error), {} if error else done))
        self._raise_failed(what, error, [failed for failed, _ in answers])
        results = {job: result for _, theirs in answers for job, result in theirs.items()}
        return [results[job] for job in range(jobs)]

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

    def _raise_failed(self, what: str, own: Exception | None, reports: list[str | None]) -> None:
        if own is not None:
            raise own
        for rank, report in enumerate(reports):
            if report is not None:
                raise ProcessError(f"{what} failed on rank {rank} of {self.count} processes: {report}")

    def _sent(self, tensor: Tensor | None, kind: tuple[torch.Size, torch.dtype, bool], source: int) -> Tensor:
        """A tensor of the process `source`: sent, if it is given, or else received."""
        shape, dtype, on_cpu = kind
        if tensor is None:
            moved = torch.empty(shape, dtype=dtype, device=self.device)
        else:
            moved = tensor.detach().to(self.device).contiguous()
        if moved.numel():
            # As bytes, because not every backend knows every type.
            dist.broadcast(moved.view(-1).view(torch.uint8), group=self.group, group_src=source)
        return moved.cpu() if on_cpu else moved

    @contextlib.contextmanager
    def exchange(self, what: str) -> Iterator[None]:
        """For code inside that exchanges tensors with torch.distributed: an error there says that others are concerned.

        Raises:
            ProcessError: instead of any RuntimeError, because torch's backends have no class of their own.
        """
        if not self.several:
            yield
            return
        try:
            # With NCCL, objects travel by way of the current device.
            with torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext():
                yield
        except ProcessError:
            raise
        except RuntimeError as error:
            raise ProcessError(
                f"{what} failed on rank {self.rank}: if another of the {self.count} processes has ended or does "
                f"something else, its own output says why; here it is {_line(error)}"
            ) from error


ALONE = Processes()


def processes_of(model: nn.Module | None = None) -> Processes:
    """The processes that train a model: those of its wrapper or its sharded weights, or else all that torch knows."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    model = nn.Identity() if model is None else model
    meshes = {weight.device_mesh for weight in sharded(model)}
    # Along one of several dimensions a layer may be split, and the processes along it must see the same examples.
    deals = all(mesh.ndim == 1 for mesh in meshes)
    group = meshes.pop().get_group() if deals and len(meshes) == 1 else None
    for module in model.modules():  # torch.compile may be around the wrapper
        if isinstance(module, nn.parallel.DistributedDataParallel):
            group = module.process_group
    count, rank = dist.get_world_size(group), dist.get_rank(group)
    if count < 2 or rank < 0:
        return ALONE
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if (
        device.type == "cpu" and dist.get_backend(group) == "nccl"
    ):  # weights that wait in the computer's memory
        device = torch.device("cuda", torch.cuda.current_device())
    return Processes(rank, count, group, device, in_step=bool(sharded(model)), deals=deals)


def digest(examples: Any) -> str:
    """A short text that differs where examples do: the numbers, types or shapes of their tensors, texts or numbers.

    Other objects are not compared: they may have no content that is the same on another process.
    """
    found = hashlib.sha256()
    for part in _leaves(examples):
        if isinstance(part, Tensor):
            found.update(f"{part.dtype}{tuple(part.shape)}".encode())
            found.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(part, str | bytes | int | float):
            found.update(repr(part).encode())
    return found.hexdigest()[:16]


def _leaves(examples: Any) -> Iterator[Any]:
    if isinstance(examples, Mapping):
        examples = [part for pair in examples.items() for part in pair]
    if not isinstance(examples, list | tuple):
        yield examples
        return
    for part in examples:
        yield from _leaves(part)


def _sendable(error: Exception) -> Exception:
    """The error, or one with its text where pickle cannot copy it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error may have any class
        return ProcessError(f"rank 0 failed: {_line(error)}")
    return error


class _Packer(pickle.Pickler):
    """Leaves tensors out and lists them."""

    def __init__(self, file: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, Tensor):
            return None
        self._tensors.append(obj)
        return len(self._tensors) - 1


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, pid: Any) -> Tensor:
        return self._tensors[pid]


def _line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}.."
