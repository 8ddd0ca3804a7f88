"""What tells a workload of a user's own from another of the same name: a digest of what it is made of."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import re

import torch
from torch import nn

from infopace.lab.workload import Workload

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def code_of(workload: Workload, module: str) -> str:
    """Twelve hexadecimal digits that change when the model, the loss, the metric or what makes the data does.

    It sees the source of these functions and, of the classes of the model, of those that the workload's own module
    holds, and how the model is put together; not what they call.
    """
    parts = (
        workload.load,
        workload.build_model,
        workload.loss,
        workload.metric.score,
        workload.prepare,
        workload.augment,
    )
    text = [_source(part) for part in parts]
    # What it raises is told where it is tried.
    with contextlib.suppress(Exception, SystemExit), torch.random.fork_rng([]):
        model = workload.build_model()
        if isinstance(model, nn.Module):
            text += [str(model), *(f"{name} {tuple(p.shape)}" for name, p in model.named_parameters())]
            own = {type(part) for part in model.modules() if type(part).__module__ == module}
            text += sorted(map(_source, own))
    return hashlib.sha256(_ADDRESS.sub("", "\n".join(text)).encode()).hexdigest()[:12]


def _source(part: object) -> str:
    """The source of a function or a class; of an object its class's, and what it holds."""
    if isinstance(part, functools.partial):
        return f"{_source(part.func)} {part.args} {part.keywords}"
    is_code = inspect.isclass(part) or inspect.isroutine(part)
    try:
        source = inspect.getsource(part if is_code else type(part))  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError):  # built in, or typed into an interpreter
        source = str(getattr(part, "__qualname__", type(part).__qualname__))
    return source if is_code else f"{source} {part!r}"
