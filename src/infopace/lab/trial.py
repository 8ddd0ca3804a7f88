"""Try a workload on a few examples before a run, and report its first mistake in one line."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infopace.lab.batches import caster
from infopace.lab.errors import InputError, missing_of_the_extra
from infopace.lab.lazy_images import LazyImages, in_turn
from infopace.lab.workload import Data, Workload

_EXAMPLES = 4
_PLAIN_NUMBERS = ("batch_size", "probe_size", "epochs", "epoch_examples")
# Numbers that are checked at once. [measured] 12 million float32 on one CPU thread take 6 ms.
_AT_ONCE = 1 << 22


def load_tried(workload: Workload, device: torch.device) -> Data:
    """Load the workload's data, and put a few examples through its model, its loss and its metric.

    Raises InputError, one line with the workload's name, if one of its parts is wrong. torch's random state stays as
    it was.
    """
    for name in _PLAIN_NUMBERS:
        least, value = 2 if name == "probe_size" else 1, getattr(workload, name)
        if value is not None and value < least:
            raise _wrong(workload, f"{name} must be at least {least}, got {value!r}")
    data = _made(workload, "load", workload.load)
    _check_data(workload, data)
    with torch.random.fork_rng([]):
        _try(workload, data, device)
    return data


def check_untrained(workload: Workload, inputs: Tensor, targets: Tensor, where: str) -> None:
    """Raise InputError if the loss of a prepared batch is not finite with untrained weights either.

    `where` says which batch it is. Weights and dropout are drawn from torch's generator.
    """
    if not bool(torch.isfinite(inputs).all()):
        raise _wrong(workload, f"{where} augment and prepare must return finite numbers, and do not")
    outputs = workload.build_model().to(inputs.device).train()(inputs)
    if not bool(torch.isfinite(workload.task.loss(outputs, targets))):
        what = "loss" if bool(torch.isfinite(outputs).all()) else "the model's output"
        raise _wrong(
            workload,
            f"{where} {what} is not finite with untrained weights either, although the inputs are",
        )


def _check_data(workload: Workload, data: object) -> None:
    if not isinstance(data, Data):
        raise _wrong(workload, f"load must return infopace.lab.workload.Data, got {type(data).__name__}")
    for part in ("train", "test"):
        inputs, targets = getattr(data, f"{part}_inputs"), getattr(data, f"{part}_targets")
        for name, value in (("inputs", inputs), ("targets", targets)):
            if not isinstance(value, Tensor | LazyImages):
                raise _wrong(workload, f"{part}_{name} must be a tensor, got {type(value).__name__}")
        if len(inputs) != len(targets):
            raise _wrong(
                workload,
                f"{part}_inputs and {part}_targets must have the same length, got {len(inputs)} and {len(targets)}",
            )
        least = 2 if part == "train" else 1
        if len(targets) < least:
            raise _wrong(
                workload,
                f"{part}_targets must have at least {least} example{'s' * (least > 1)}, got {len(targets)}",
            )
    if found := _not_finite(data):
        raise _wrong(workload, found)


def _not_finite(data: Data) -> str:
    """Which part has a number that is not finite, the first such example, and how many; "" where all are finite."""
    names = ("train_inputs", "train_targets", "test_inputs", "test_targets")
    for name, part in zip(names, data.parts(), strict=True):
        if isinstance(part, LazyImages) or not (part.is_floating_point() or part.is_complex()):
            continue
        odd = torch.cat([_odd(some) for some in part.split(_examples_at_once(part))])
        if bool(odd.any()):
            first = int(odd.nonzero()[0])
            numbers = part[first].reshape(-1)
            value = numbers[~torch.isfinite(numbers)][0].item()
            return f"{name} must be finite, got {value} in example {first}, and in {int(odd.sum())} of {len(part)}"
    return ""


def _examples_at_once(part: Tensor) -> int:
    return max(1, _AT_ONCE // max(1, part[:1].numel()))


def _odd(part: Tensor) -> Tensor:
    """(n,) bool: the examples with a number that is not finite."""
    return ~torch.isfinite(part).reshape(len(part), -1).all(1)


def _try(workload: Workload, data: Data, device: torch.device) -> None:
    """Train and test on a few examples, with the lowest and the highest label among them."""
    model = _made(workload, "build_model", workload.build_model)
    if not isinstance(model, nn.Module):
        raise _wrong(workload, f"build_model must return a torch Module, got {type(model).__name__}")
    model.to(device)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise _wrong(workload, "the model must have weights to train, got none with requires_grad")
    if workload.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    inputs, targets = _some(data.train_inputs, data.train_targets, device)
    if workload.augment is not None:
        augment, plain = workload.augment, inputs
        inputs = _made(workload, "augment", lambda: augment(plain, torch.Generator().manual_seed(0)))
    outputs, shapes = _outputs(workload, model.train(), inputs, targets, "")
    loss = _loss(workload, outputs, targets, shapes)
    if not loss.requires_grad:
        raise _wrong(workload, "loss must depend on the model's outputs, got one without a gradient")
    if not bool(torch.isfinite(loss)):
        raise _wrong(
            workload, f"loss must be finite with untrained weights, got {loss.item()} for finite outputs"
        )
    _made(workload, "the backward pass of loss", loss.backward)
    if all(weight.grad is None for weight in model.parameters()):
        raise _wrong(
            workload, "loss must depend on the model's weights, got one without a gradient for any of them"
        )
    with torch.no_grad():
        inputs, targets = _some(data.test_inputs, data.test_targets, device)
        outputs, shapes = _outputs(workload, model.eval(), inputs, targets, "test ")
        _loss(workload, outputs, targets, shapes)
        metric, what = workload.metric, f"metric {workload.metric.name!r}, of {shapes},"
        value = _made(workload, what, lambda: float(metric.score(outputs.float(), targets).double().mean()))
    if not math.isfinite(value):
        raise _wrong(workload, f"{what} must be finite with untrained weights, got {value}")


def _outputs(
    workload: Workload, model: nn.Module, inputs: Tensor, targets: Tensor, kind: str
) -> tuple[Tensor, str]:
    """The outputs for some examples, and the shapes as text."""
    batch = _made(workload, "prepare", lambda: caster(workload)(inputs))
    if not isinstance(batch, Tensor):
        raise _wrong(workload, f"prepare must return a tensor, got {type(batch).__name__}")
    shape = f"{kind}inputs of shape {tuple(batch.shape)} and type {str(batch.dtype).removeprefix('torch.')}"
    if not bool(torch.isfinite(batch).all()):
        raise _wrong(workload, f"prepare must return finite numbers, got {shape} that are not")
    outputs = _made(workload, f"the model, on {shape},", lambda: model(batch))
    if not isinstance(outputs, Tensor):
        raise _wrong(workload, f"the model must return one tensor, got {type(outputs).__name__}")
    shapes = f"{kind}outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
    if outputs.ndim == 0 or len(outputs) != len(targets):
        raise _wrong(workload, f"the model must return one output for each input, got {shapes}")
    if not bool(torch.isfinite(outputs).all()):
        raise _wrong(
            workload,
            f"the model must return finite numbers with untrained weights, got {shapes} that are not",
        )
    return outputs, shapes


def _loss(workload: Workload, outputs: Tensor, targets: Tensor, shapes: str) -> Tensor:
    with warnings.catch_warnings():
        # torch warns and broadcasts, which compares each output with every target.
        warnings.filterwarnings("error", message="Using a target size", category=UserWarning)
        loss = _made(workload, f"loss, of {shapes},", lambda: workload.task.loss(outputs, targets))
    if not (isinstance(loss, Tensor) and loss.numel() == 1):
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise _wrong(
            workload, f"loss must return one number as a tensor, the mean over the examples, got {got}"
        )
    return loss


def _some(inputs: Tensor | LazyImages, targets: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """The first examples, and those of the lowest and the highest label, which loss and model may not support."""
    examples = list(range(min(_EXAMPLES, len(targets))))
    if not targets.is_floating_point() and targets.numel() == len(targets):
        labels = targets.reshape(-1)
        ends = (int(labels.argmin()), int(labels.argmax()))
        examples[-2:] = ends[-len(examples) :]
    chosen = torch.tensor(examples)
    (batch,) = in_turn(inputs, [chosen])
    return batch.to(device), targets[chosen].to(device)


def _made(workload: Workload, what: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        if isinstance(error, ModuleNotFoundError) and missing_of_the_extra(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise _wrong(workload, f"{what} raised {type(error).__name__}: {reason}") from error


def _wrong(workload: Workload, what: str) -> InputError:
    return InputError(f"workload {workload.name!r}: {what}")
