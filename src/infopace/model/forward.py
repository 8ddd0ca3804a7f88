"""One forward pass: the outputs of chosen layers, and the model left as it was found."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from infopace.estimators._inputs import check_plain
from infopace.model.random_state import random_state_kept
from infopace.model.snapshot import Buffers

# Makes the output of some examples: (model, examples) -> (n, ...).
Forward = Callable[[nn.Module, Any], Tensor]


def layer_outputs(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int | None,
    receive: Callable[[str, Tensor], None],
    forward: Forward | None = None,
) -> list[str]:
    """Run n examples and call receive(name, output) for each layer and for "output".

    Returns the layers that did not run. The model gets a copy of its inputs, because it may change them in place.
    `forward(model, inputs)` makes the output of some examples; None: the main tensor of what the model returns.
    Without batches `receive` is called during the pass, so that no more than one layer's output is held. A layer that
    runs several times in a pass is received twice: after its first run, and at the end with the output of its last
    run. The last call counts.
    """
    if batch_size is not None and batch_size < n:
        return _in_batches(model, inputs, n, layers, batch_size, receive, forward)
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
        copied = map_tensors(inputs, torch.clone)
        result = main_tensor(call(model, copied)) if forward is None else forward(model, copied)
        receive("output", check_layer_output("output", result, n))
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
    forward: Forward | None,
) -> list[str]:
    kept: dict[str, list[Tensor]] = {name: [] for name in (*layers, "output")}
    silent: list[str] = []
    starts = list(range(0, n, batch_size))
    if batch_size > 1 and n - starts[-1] == 1:
        starts.pop()  # a model may squeeze a single example's dimension away, so it joins the batch before
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        latest: dict[str, Tensor] = {}
        part = part_of(inputs, n, start, stop)

        def keep(name: str, values: Tensor, latest: dict[str, Tensor] = latest) -> None:
            latest[name] = values.clone()

        silent = layer_outputs(model, part, stop - start, layers, None, keep, forward)
        for name, values in latest.items():
            kept[name].append(values)
    for name, parts in kept.items():
        if parts:
            receive(name, torch.cat(parts))
            parts.clear()
    return silent


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
def as_found(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside. At the end modes, buffers, compiled calls and random states are restored."""
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
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            for module, code in compiled:
                module._compiled_call_impl = code
            buffers.put_back()


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
    check_plain(values, what)
    if values.ndim == 0 or len(values) != n:
        raise ValueError(
            f"{what} must have one row per example, got shape {tuple(values.shape)} for {n} examples"
        )
    return values


def map_tensors(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same inputs with every tensor changed; containers keep their type, and all else stays as it is."""
    if isinstance(inputs, Tensor):
        return change(inputs)
    return _rebuilt(inputs, lambda part: map_tensors(part, change))


def part_of(inputs: Any, n: int, start: int, stop: int) -> Any:
    """The examples start..stop-1 of n: of every tensor, and of every list with an entry for each example."""
    if isinstance(inputs, Tensor):
        return inputs[start:stop] if inputs.ndim else inputs
    if is_column(inputs, n):
        return inputs[start:stop]
    return _rebuilt(inputs, lambda part: part_of(part, n, start, stop))


def is_column(inputs: Any, n: int) -> bool:
    """Whether this is a list with an entry for each of n examples, such as texts, and not one with a tensor a place."""
    if not isinstance(inputs, list | tuple) or len(inputs) != n:
        return False
    return not any(tensor.ndim and len(tensor) == n for tensor in tensors_of(inputs))


def tensors_of(inputs: Any) -> list[Tensor]:
    """Every tensor in some inputs."""
    found: list[Tensor] = []
    map_tensors(inputs, lambda tensor: (found.append(tensor), tensor)[1])
    return found


def _rebuilt(inputs: Any, change: Callable[[Any], Any]) -> Any:
    """A container of the same type with its parts changed; all else as it is."""
    if type(inputs) is dict:
        return {name: change(part) for name, part in inputs.items()}
    if isinstance(inputs, MutableMapping):  # such as the batches of tokenizers
        alike = copy.copy(inputs)
        alike.update({name: change(part) for name, part in inputs.items()})
        return alike
    if isinstance(inputs, Mapping):
        return {name: change(part) for name, part in inputs.items()}
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):  # a named tuple
        return type(inputs)(*map(change, inputs))
    if isinstance(inputs, list | tuple):
        return type(inputs)(map(change, inputs))
    return inputs
