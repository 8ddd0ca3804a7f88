"""The forward pass over several processes: each runs its share of the batches, and rank 0 gets all outputs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from infopace.model.forward import as_found, batches_of, layer_outputs, one_batch
from infopace.model.processes import Processes, is_sharded, sharded
from infopace.model.snapshot import norm_of

# Processes that average their gradients have weights that are equal bit for bit on machines of one kind.
_SAME_NORM = 1e-5


def outputs_over_processes(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int | None,
    receive: Callable[[str, Tensor], None],
    processes: Processes,
) -> list[str]:
    """The same as `layer_outputs`, by several processes. It is collective.

    The batches are those of one process, so the outputs are the same on any number of them. They are dealt to the
    processes in turn. Where all examples are one batch, rank 0 runs it, and the others only take part in what is split
    over them. All use the buffers and the random state of rank 0, and get their own back.

    `receive` is called on rank 0 alone. An error that it raises is raised on all processes.

    Raises:
        ValueError: the weights are not equal on all processes.
        ProcessError: the forward pass failed on another process.
    """
    if not processes.several:
        return layer_outputs(model, inputs, n, layers, batch_size, receive)
    split = sharded(model)
    if not split:
        _check_same_weights(model, processes)
    errors: list[Exception] = []

    def receive_or_keep(name: str, values: Tensor) -> None:
        # In the middle of a pass an error would leave the others waiting.
        if processes.rank == 0 and not errors:
            try:
                receive(name, values)
            except Exception as error:
                errors.append(error)

    with as_found(model):
        _as_on_first(model, processes)
        # Where a pass is itself collective, an error in it cannot be shared: the others wait in the pass.
        what = "the forward pass of the probe"
        together = contextlib.nullcontext() if split else processes.together(what)
        batches = batches_of(n, n if batch_size is None else batch_size)
        if len(batches) == 1:
            with together:
                silent: list[str] = []
                if split or processes.rank == 0:
                    silent = layer_outputs(model, inputs, n, layers, None, receive_or_keep)
        else:
            # Processes that share a layer's work must see the same examples.
            count, place = (1, 0) if _shares_layers(split) else (processes.count, processes.rank)
            found: dict[int, dict[str, Tensor]] = {}
            with together:
                for turn in range(0, len(batches), count):
                    number = turn + place
                    # The last ones may have nothing left to do, and run a batch again to keep in step.
                    batch = batches[number if number < len(batches) else 0]
                    latest, silent = one_batch(model, inputs, *batch, layers)
                    if number < len(batches):
                        found[number] = latest
            silent = _hand_in(found, layers, len(batches), count, receive_or_keep, processes)
    return processes.from_first("the estimate", lambda: _raise_or_return(errors, silent))


def _hand_in(
    found: dict[int, dict[str, Tensor]],
    layers: Iterable[str],
    batches: int,
    count: int,
    receive: Callable[[str, Tensor], None],
    processes: Processes,
) -> list[str]:
    """Send the outputs of each batch to rank 0, which receives those of each layer in the order of the batches.

    Returns the layers that did not run in the last batch.
    """
    own = {i: {name: (values.shape, values.dtype) for name, values in found[i].items()} for i in found}
    kinds = processes.gather("the outputs of the probe", own)
    for name in [*layers, "output"]:
        parts: list[Tensor] = []
        for number in range(batches):
            owner = number % count
            if name not in kinds[owner][number]:
                continue
            if number in found:
                values = found[number].pop(name).to(processes.device).contiguous()
            else:
                shape, dtype = kinds[owner][number][name]
                values = torch.empty(shape, dtype=dtype, device=processes.device)
            if owner:  # rank 0 has its own
                processes.broadcast(f"the outputs of {name}", values, owner)
            if processes.rank == 0:
                parts.append(values)
        if parts:
            receive(name, torch.cat(parts))
    last = batches - 1
    return [name for name in layers if name not in kinds[last % count][last]]


def _check_same_weights(model: nn.Module, processes: Processes) -> None:
    weights = (weight for weight in model.parameters() if weight.is_floating_point() or weight.is_complex())
    norms = processes.gather("comparing the weights", norm_of(weights))
    furthest = max(range(len(norms)), key=lambda rank: abs(norms[rank] - norms[0]))
    if abs(norms[furthest] - norms[0]) > _SAME_NORM * norms[0]:
        raise ValueError(
            f"the weights must be equal on all {processes.count} processes to be measured, got norm {norms[0]:.6g} on "
            f"rank 0 and {norms[furthest]:.6g} on rank {furthest}; train with DistributedDataParallel or fully_shard"
        )


def _as_on_first(model: nn.Module, processes: Processes) -> None:
    """Give the model the buffers of rank 0, and torch its random state. `as_found` puts back what they were."""
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    torch.set_rng_state(processes.from_first("the random state", torch.get_rng_state))
    for device in devices:
        state = processes.from_first("the random state", functools.partial(torch.cuda.get_rng_state, device))
        torch.cuda.set_rng_state(state, device)
    for name, buffer in model.named_buffers():
        if is_sharded(buffer):
            continue  # it is one tensor on all processes
        # A copy, because a buffer that is expanded cannot be written to. It cannot differ either.
        value = buffer.detach().clone(memory_format=torch.contiguous_format)
        processes.broadcast(f"buffer {name}", value)
        if not torch.equal(buffer, value):
            buffer.copy_(value)


def _shares_layers(split: list[Any]) -> bool:
    """Whether weights are split in more ways than one, so that processes may compute parts of one layer's output."""
    return any(weight.device_mesh.ndim > 1 for weight in split)


def _raise_or_return(errors: list[Exception], silent: list[str]) -> list[str]:
    if errors:
        raise errors[0]
    return silent
