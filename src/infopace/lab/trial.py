"""A workload tried on a few rows before it costs anything: what its author got wrong is said in one line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infopace.lab.batches import caster
from infopace.lab.errors import InputError, missing_of_the_extra
from infopace.lab.lazy_images import LazyImages, in_turn
from infopace.lab.workload import Data, Workload

_ROWS = 4
_PLAIN_NUMBERS = ("batch_size", "probe_size", "epochs")


def load_tried(workload: Workload, device: torch.device) -> Data:
    """The workload's data, once a few of its rows have gone through its model, its loss and its metric.

    Raises InputError, one line with the workload's name, where one of its parts does not do what it must. The trial
    leaves torch's random state as it was.
    """
    for name in _PLAIN_NUMBERS:
        least = 2 if name == "probe_size" else 1
        if getattr(workload, name) < least:
            raise _wrong(workload, f"{name} must be at least {least}, got {getattr(workload, name)}")
    data = _made(workload, "load", workload.load)
    _check_data(workload, data)
    with torch.random.fork_rng([]):
        _try(workload, data, device)
    return data


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
                f"{part}_inputs and {part}_targets must have as many rows, got {len(inputs)} and {len(targets)}",
            )
        least = 2 if part == "train" else 1
        if len(targets) < least:
            raise _wrong(workload, f"{part}_targets must have {least} rows or more, got {len(targets)}")


def _try(workload: Workload, data: Data, device: torch.device) -> None:
    model = _made(workload, "build_model", workload.build_model)
    if not isinstance(model, nn.Module):
        raise _wrong(workload, f"build_model must return a torch Module, got {type(model).__name__}")
    model.to(device)
    if workload.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    rows = _few(data.train_targets)
    (inputs,) = in_turn(data.train_inputs, [rows])
    inputs, targets = inputs.to(device), data.train_targets[rows].to(device)
    if workload.augment is not None:
        augment, plain = workload.augment, inputs
        inputs = _made(workload, "augment", lambda: augment(plain, torch.Generator().manual_seed(0)))
    batch = _made(workload, "prepare", lambda: caster(workload)(inputs))
    shape = f"inputs of shape {tuple(batch.shape)} and type {str(batch.dtype).removeprefix('torch.')}"
    outputs = _made(workload, f"the model, on {shape},", lambda: model.train()(batch))
    if not isinstance(outputs, Tensor):
        raise _wrong(workload, f"the model must return one tensor, got {type(outputs).__name__}")
    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
    if len(outputs) != len(targets):
        raise _wrong(workload, f"the model must return a row for each of its inputs, got {shapes}")
    with warnings.catch_warnings():
        # torch warns, and broadcasts: each output is held against every target.
        warnings.filterwarnings("error", message="Using a target size", category=UserWarning)
        loss = _made(workload, f"loss, of {shapes},", lambda: workload.loss(outputs, targets))
    if not (isinstance(loss, Tensor) and loss.numel() == 1):
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise _wrong(workload, f"loss must return one number as a tensor, the mean over the rows, got {got}")
    _made(
        workload,
        f"metric {workload.metric.name!r}, of {shapes},",
        lambda: workload.metric.score(outputs.detach().float(), targets).sum(),
    )


def _few(targets: Tensor) -> Tensor:
    """The first rows, and one of the highest label: a model may have too few outputs."""
    rows = list(range(min(_ROWS, len(targets))))
    if not targets.is_floating_point() and targets.numel() == len(targets):
        rows[-1] = int(targets.reshape(-1).argmax())
    return torch.tensor(rows)


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
