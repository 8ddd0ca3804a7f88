"""One forward pass: the outputs of chosen layers, and the model left as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from infopace.estimators._inputs import check_plain
from infopace.model.processes import ALONE, Processes
from infopace.model.random_state import random_state_kept
from infopace.model.sharding import is_sharded, reshard, whole
from infopace.model.snapshot import Buffers, norm_of

# Processes that average their gradients have weights that are equal bit for bit on machines of one kind.
_SAME_NORM = 1e-5


def layer_outputs(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int | None,
    receive: Callable[[str, Tensor], None],
    processes: Processes = ALONE,
) -> list[str]:
    """Run n examples and call receive(name, output) for each layer and for "output".

    Returns the layers that did not run. The model gets a copy of its inputs, because it may change them in place.
    Without batches `receive` is called during the pass, so that no more than one layer's output is held. A layer that
    runs several times in a pass is received twice: after its first run, and at the end with the output of its last
    run. The last call counts.

    Batches are dealt to the processes. They are those of one process, so the outputs are equal bit for bit on any
    number of them. All receive all outputs.
    """
    if batch_size is not None and batch_size < n:
        return _in_batches(model, inputs, n, layers, batch_size, receive, processes)
    ran: set[str] = set()
    again: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def after_run(module: nn.Module, args: Any, result: Any) -> None:
            values = check_layer_output(name, main_tensor(result), n)
            if name in ran:
                # A copy, because the next module may change it in place.
                again[name] = values.clone()
            else:
                ran.add(name)
                receive(name, values)

        return after_run

    with as_found(model), hooked({module: hook(name) for name, module in layers.items()}):
        result = call(model, map_tensors(inputs, torch.clone))
        receive("output", check_layer_output("output", main_tensor(result), n))
        for name, values in again.items():
            receive(name, values)
    return [name for name in layers if name not in ran]


def _in_batches(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int,
    receive: Callable[[str, Tensor], None],
    processes: Processes,
) -> list[str]:
    starts = list(range(0, n, batch_size))
    if batch_size > 1 and n - starts[-1] == 1:
        starts.pop()  # a model may squeeze a single example's dimension away, so it joins the batch before
    stops = [*starts[1:], n]

    def run(batch: int) -> tuple[dict[str, Tensor], list[str]]:
        latest: dict[str, Tensor] = {}
        start, stop = starts[batch], stops[batch]
        part = map_tensors(inputs, lambda tensor: tensor[start:stop])

        def keep(name: str, values: Tensor) -> None:
            latest[name] = values.clone()

        silent = layer_outputs(model, part, stop - start, layers, None, keep)
        return latest, silent

    found = processes.dealt("the forward pass of the probe", len(starts), run)
    for name in (*layers, "output"):
        parts = [latest.pop(name) for latest, _ in found if name in latest]
        if parts:
            receive(name, torch.cat(parts))
            parts.clear()
    return found[-1][1]


@contextlib.contextmanager
def hooked(hooks: Mapping[nn.Module, Callable[..., None]]) -> Iterator[None]:
    """Forward hooks on some modules, with torch's fused attention off, which would not run them."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with contextlib.ExitStack() as stack:
        for module, hook in hooks.items():
            stack.callback(module.register_forward_hook(hook).remove)
        if hooks:
            # Fused attention calls none of an encoder layer's modules, and a padding mask gives nested tensors.
            torch.backends.mha.set_fastpath_enabled(False)
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        yield


@contextlib.contextmanager
def as_found(model: nn.Module, processes: Processes = ALONE) -> Iterator[None]:
    """Evaluation mode inside. At the end modes, buffers, compiled calls and random states are restored.

    With several processes the buffers and torch's random states are those of rank 0 inside.

    Raises:
        ValueError: the weights are not equal on all processes.
    """
    modules = list(model.modules())
    modes = [module.training for module in modules]
    # Hooks do not run inside compiled code.
    compiled = [(module, code) for module in modules if (code := module.__dict__.get("_compiled_call_impl"))]
    buffers = Buffers(model)
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    with random_state_kept(devices):
        try:
            for module in modules:
                module.training = False
            for module, _ in compiled:
                module._compiled_call_impl = None
            if processes.several:
                _as_on_first(model, processes, devices)
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            for module, code in compiled:
                module._compiled_call_impl = code
            buffers.put_back()
            reshard(model)


@torch.no_grad()
def _as_on_first(model: nn.Module, processes: Processes, devices: set[torch.device]) -> None:
    """The buffers and the random states of rank 0, on all processes."""
    norms = [] if processes.in_step else processes.gather("comparing the weights", _norm(model))
    for rank, norm in enumerate(norms):
        if abs(norm - norms[0]) > _SAME_NORM * norms[0]:
            raise ValueError(
                f"the weights must be equal on all {processes.count} processes to be measured, got norm {norms[0]:.6g} "
                f"on rank 0 and {norm:.6g} on rank {rank}; train with DistributedDataParallel or fully_shard"
            )
    buffers = [buffer for buffer in model.buffers() if not is_sharded(buffer)]

    def of_this_process() -> tuple[Tensor, list[Tensor], list[Tensor]]:
        states = [torch.cuda.get_rng_state(device) for device in sorted(devices, key=str)]
        return torch.get_rng_state(), states, buffers

    state, states, values = processes.from_first("the buffers of the model", of_this_process)
    torch.set_rng_state(state)
    for device, own in zip(sorted(devices, key=str), states, strict=True):
        torch.cuda.set_rng_state(own, device)
    for buffer, value in zip(buffers, values, strict=True):
        # A buffer that is expanded cannot be written to. It cannot differ either.
        if not torch.equal(buffer, value):
            buffer.copy_(value)


def _norm(model: nn.Module) -> float:
    return norm_of(
        weight for weight in model.parameters() if weight.is_floating_point() or weight.is_complex()
    )


def call(model: nn.Module, inputs: Any) -> Any:
    """The model on its inputs: a tuple gives arguments, a mapping keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def main_tensor(result: Any) -> Tensor | None:
    """The main tensor of a module's result: itself, its logits, or the first tensor inside."""
    if isinstance(result, Tensor):
        return result
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    parts = (
        result.values() if isinstance(result, Mapping) else result if isinstance(result, tuple | list) else ()
    )
    return next((tensor for part in parts if (tensor := main_tensor(part)) is not None), None)


def check_layer_output(name: str, values: Tensor | None, n: int) -> Tensor:
    """The output of a layer, if it is a tensor with one row for each of n examples."""
    what = "the output" if name == "output" else f"the output of layer {name!r}"
    if values is None:
        raise ValueError(f"{what} must hold a tensor to be measured, got none")
    values = whole(values)
    check_plain(values, what)
    if values.ndim == 0 or len(values) != n:
        raise ValueError(
            f"{what} must have one row per example, got shape {tuple(values.shape)} for {n} examples"
        )
    return values


def map_tensors(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same inputs with every tensor changed."""
    if isinstance(inputs, Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: map_tensors(part, change) for name, part in inputs.items()}
    return tuple(map_tensors(part, change) for part in inputs)


def tensors_of(inputs: Any) -> list[Tensor]:
    """Every tensor in some inputs."""
    found: list[Tensor] = []
    map_tensors(inputs, lambda tensor: (found.append(tensor), tensor)[1])
    return found
