"""One forward pass: the outputs of chosen layers, and the model left as it was found."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from infopace.estimators._inputs import check_plain
from infopace.model.examples import Layout, same_for_all, tells_examples_apart
from infopace.model.processes import ALONE, Processes
from infopace.model.random_state import random_state_kept
from infopace.model.sharding import is_sharded, reshard, whole
from infopace.model.snapshot import Buffers, norm_of

# Processes that average their gradients have weights that are equal bit for bit on machines of one kind.
_SAME_NORM = 1e-5
# Of some examples: (model, examples) -> the output (n, ...), and what else was found.
Forward = Callable[[nn.Module, Any], tuple[Tensor | None, Any]]
# name, output with the examples first, whether it or the input of the layer differs between examples
_Take = Callable[[str, Tensor, bool], None]


def layer_outputs(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int | None,
    receive: Callable[[str, Tensor], None],
    *,
    strict: bool = True,
    forward: Forward | None = None,
    processes: Processes = ALONE,
) -> tuple[dict[str, str], list[Any]]:
    """Run n examples and call receive(name, output) for each layer and for "output", with the examples first.

    Returns the layers that were not received, each with the reason: they did not run, or, without `strict`, their
    output has no dimension of the examples, or all examples have the same. With `strict` the first of these raises and
    the second is received. Returns also what `forward` found beside the output of each batch.

    The model gets a copy of its inputs, because it may change them in place. Without batches `receive` is called during
    the pass, so that no more than one layer's output is held. A layer that runs several times in a pass is received
    twice: after its first run, and at the end with the output of its last run. The last call counts.

    `forward(model, inputs)` makes the output of some examples; None: the main tensor of what the model returns. If
    layers are asked for, it runs on a few examples first, which show where layers have the examples.

    Batches are dealt to the processes. They are those of one process, so the outputs are equal bit for bit on any
    number of them. All receive all outputs.
    """
    run = _usual if forward is None else forward
    received: set[str] = set()
    reasons: dict[str, str] = {}

    def take(name: str, values: Tensor, differs: bool) -> None:
        if differs or strict:
            received.add(name)
            receive(name, values)
        else:
            reasons[name] = "gets the same input for every example and was not measured"

    if batch_size is not None and batch_size < n:
        found = _in_batches(
            model, inputs, n, layers, batch_size, take, None if strict else reasons, run, processes
        )
    else:
        layout = _layout(model, inputs, n, n, layers, run)
        found = [_one_pass(model, inputs, n, layers, take, layout, None if strict else reasons, run)]
    silent = "did not run in the forward pass and was not measured"
    return {name: reasons.get(name, silent) for name in layers if name not in received}, found


def _usual(model: nn.Module, inputs: Any) -> tuple[Tensor | None, None]:
    return main_tensor(call(model, inputs)), None


def _layout(
    model: nn.Module, inputs: Any, n: int, size: int, layers: dict[str, nn.Module], run: Forward
) -> Layout:
    """Where the examples are in the outputs of some layers, for passes of `size` of n examples."""
    layout = Layout(size)

    def hook(name: str) -> Callable[..., None]:
        return lambda module, args, kwargs, result: layout.keep(name, main_tensor(result))

    if layers:
        try:
            with as_found(model), hooked({module: hook(name) for name, module in layers.items()}):
                run(model, few_of(inputs, n, layout.few))
        except Exception:  # a model of one batch size; any other fault is met again in the whole pass
            layout.forget()
    return layout


def _one_pass(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    take: _Take,
    layout: Layout,
    reasons: dict[str, str] | None,
    run: Forward,
) -> Any:
    """What `run` found beside the output. `reasons` takes up why a layer cannot be measured; None: it raises."""
    calls = dict.fromkeys(layers, 0)
    again: dict[str, tuple[Tensor, bool]] = {}

    def hook(name: str) -> Callable[..., None]:
        def after_run(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            number, calls[name] = calls[name], calls[name] + 1
            try:
                found = layout.examples_first(name, number, _plain(name, main_tensor(result)), n)
            except ValueError as error:
                if reasons is None:
                    raise
                reasons.setdefault(name, f"was not measured: {error}")
                return
            differs = not same_for_all(found) or tells_examples_apart((args, kwargs), n)
            if number:
                # A copy, because the next module may change it in place.
                again[name] = found.clone(), differs
            else:
                take(name, found, differs)

        return after_run

    with as_found(model), hooked({module: hook(name) for name, module in layers.items()}):
        result, beside = run(model, map_tensors(inputs, torch.clone))
        take("output", check_layer_output("output", result, n), True)
        for name, (values, differs) in again.items():
            take(name, values, differs)
    return beside


def _in_batches(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int,
    take: _Take,
    reasons: dict[str, str] | None,
    run: Forward,
    processes: Processes,
) -> list[Any]:
    starts = list(range(0, n, batch_size))
    if batch_size > 1 and n - starts[-1] == 1:
        starts.pop()  # a model may squeeze a single example's dimension away, so it joins the batch before
    stops = [*starts[1:], n]
    layouts: list[Layout] = []

    def run_batch(number: int) -> tuple[dict[str, Tensor], dict[str, str], set[str], Any]:
        start, stop = starts[number], stops[number]
        if not layouts:  # with the examples of this process's first batch, which it is compared with
            rest = part_of(inputs, n, start, n)
            layouts.append(_layout(model, rest, n - start, batch_size, layers, run))
        latest: dict[str, Tensor] = {}
        differing: set[str] = set()
        own = None if reasons is None else dict[str, str]()

        def keep(name: str, values: Tensor, differs: bool) -> None:
            latest[name] = values.clone()
            differing.update([name] if differs else [])

        part = part_of(inputs, n, start, stop)
        found = _one_pass(model, part, stop - start, layers, keep, layouts[0], own, run)
        return latest, own or {}, differing, found

    found = processes.dealt("the forward pass of the probe", len(starts), run_batch)
    kept = {
        name: [latest.pop(name) for latest, *_ in found if name in latest] for name in (*layers, "output")
    }
    differing = {name for _, _, names, _ in found for name in names}
    for _, own, _, _ in found:
        for name, reason in own.items():
            if reasons is not None:
                reasons.setdefault(name, reason)
    for name, parts in kept.items():
        shapes = list(dict.fromkeys(tuple(part.shape[1:]) for part in parts))
        rows = sum(map(len, parts))
        if len(shapes) == 1 and rows == n:
            values = torch.cat(parts)
            take(name, values, name in differing or not same_for_all(values))
        elif parts:
            got = f"{rows} of {n} examples" if rows < n else f"shapes {shapes[0]} and {shapes[1]}"
            error = f"{_what(name)} must have one shape for all examples, got {got}"
            if reasons is None:
                raise ValueError(error)
            reasons.setdefault(name, f"was not measured: {error}")
        parts.clear()
    return [beside for *_, beside in found]


@contextlib.contextmanager
def hooked(hooks: Mapping[nn.Module, Callable[..., None]]) -> Iterator[None]:
    """Forward hooks (module, args, kwargs, result) on some modules, with torch's fused attention off.

    That would not run them.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    with contextlib.ExitStack() as stack:
        for module, hook in hooks.items():
            stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
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


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """The model on its inputs: a tuple gives arguments, a mapping keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def main_tensor(result: Any) -> Tensor | None:
    """The main tensor of a module's result: itself, its logits, or the first tensor inside."""
    if isinstance(result, Tensor):
        return result
    if isinstance(result, PackedSequence):  # its own order is by time
        return pad_packed_sequence(result, batch_first=True)[0]
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    parts = (
        result.values() if isinstance(result, Mapping) else result if isinstance(result, tuple | list) else ()
    )
    return next((tensor for part in parts if (tensor := main_tensor(part)) is not None), None)


def check_layer_output(name: str, values: Tensor | None, n: int) -> Tensor:
    """The output of a layer, if it is a tensor with one row for each of n examples."""
    values = _plain(name, values)
    if values.ndim == 0 or len(values) != n:
        raise ValueError(
            f"{_what(name)} must have one row per example, got shape {tuple(values.shape)} for {n} examples"
        )
    return values


def _plain(name: str, values: Tensor | None) -> Tensor:
    if values is None:
        raise ValueError(f"{_what(name)} must hold a tensor to be measured, got none")
    return check_plain(whole(values), _what(name))


def _what(name: str) -> str:
    return "the output" if name == "output" else f"the output of layer {name!r}"


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


def few_of(inputs: Any, n: int, few: int) -> Any:
    """The first few of n examples as a copy, from the beginning again where there are fewer."""
    if isinstance(inputs, Tensor):
        return inputs[torch.arange(few, device=inputs.device) % n] if inputs.ndim else inputs.clone()
    if is_column(inputs, n):
        return type(inputs)(inputs[i % n] for i in range(few))
    return _rebuilt(inputs, lambda part: few_of(part, n, few))


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
