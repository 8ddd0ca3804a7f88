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
from infopace.model.random_state import random_state_kept
from infopace.model.snapshot import Buffers

# Makes the output of some examples: (model, examples) -> (n, ...).
Forward = Callable[[nn.Module, Any], Tensor]
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
) -> dict[str, str]:
    """Run n examples and call receive(name, output) for each layer and for "output", with the examples first.

    Returns the layers that were not received, each with the reason: they did not run, or, without `strict`, their
    output has no dimension of the examples, or all examples have the same. With `strict` the first of these raises and
    the second is received.

    The model gets a copy of its inputs, because it may change them in place. Without batches `receive` is called during
    the pass, so that no more than one layer's output is held. A layer that runs several times in a pass is received
    twice: after its first run, and at the end with the output of its last run. The last call counts.

    `forward(model, inputs)` makes the output of some examples; None: the main tensor of what the model returns. If
    layers are asked for, it runs on a few examples first, which show where layers have the examples.
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

    size = n if batch_size is None else min(n, batch_size)
    layout = _layout(model, inputs, n, size, layers, run)
    if size < n:
        _in_batches(model, inputs, n, layers, size, take, layout, None if strict else reasons, run)
    else:
        _one_pass(model, inputs, n, layers, take, layout, None if strict else reasons, run)
    silent = "did not run in the forward pass and was not measured"
    return {name: reasons.get(name, silent) for name in layers if name not in received}


def _usual(model: nn.Module, inputs: Any) -> Any:
    return main_tensor(call(model, inputs))


def _layout(
    model: nn.Module, inputs: Any, n: int, size: int, layers: dict[str, nn.Module], run: Callable[..., Any]
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
    run: Callable[..., Any],
) -> None:
    """`reasons` takes up why a layer cannot be measured; None: it raises."""
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
        result = run(model, map_tensors(inputs, torch.clone))
        take("output", check_layer_output("output", result, n), True)
        for name, (values, differs) in again.items():
            take(name, values, differs)


def _in_batches(
    model: nn.Module,
    inputs: Any,
    n: int,
    layers: dict[str, nn.Module],
    batch_size: int,
    take: _Take,
    layout: Layout,
    reasons: dict[str, str] | None,
    run: Callable[..., Any],
) -> None:
    kept: dict[str, list[Tensor]] = {name: [] for name in (*layers, "output")}
    differing: set[str] = set()
    starts = list(range(0, n, batch_size))
    if batch_size > 1 and n - starts[-1] == 1:
        starts.pop()  # a model may squeeze a single example's dimension away, so it joins the batch before
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        latest: dict[str, Tensor] = {}
        part = part_of(inputs, n, start, stop)

        def keep(name: str, values: Tensor, differs: bool, latest: dict[str, Tensor] = latest) -> None:
            latest[name] = values.clone()
            differing.update([name] if differs else [])

        _one_pass(model, part, stop - start, layers, keep, layout, reasons, run)
        for name, values in latest.items():
            kept[name].append(values)
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
    return check_plain(values, _what(name))


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
