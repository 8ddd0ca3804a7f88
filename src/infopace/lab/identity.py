"""The data and code on which a cached result depends, so that results of others are not mixed with it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from infopace.lab.optimizers import Recipe, SGDRecipe
from infopace.lab.workload import Data, Workload

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def recipe_of(workload: Workload, optimizer: Recipe) -> dict[str, Any]:
    """The numbers of the training, as records have them.

    Records of runs that knew no optimizer but SGD have its numbers by name. So those of SGD are always there, and
    another optimizer is one more entry. Without it the optimizer is SGD.
    """
    numbers: dict[str, Any] = {"batch_size": workload.batch_size, **dataclasses.asdict(workload.sgd)}
    numbers["probe_size"] = workload.probe_size
    if workload.epoch_examples is not None:
        numbers["epoch_examples"] = workload.epoch_examples
    if not isinstance(optimizer, SGDRecipe):
        numbers["optimizer"] = optimizer.settings()
    return numbers


def identity_of(workload: Workload, data: Data, optimizer: Recipe) -> dict[str, Any]:
    """Digests of the data and of the code (model, loss, metric, preparation), and the recipe's numbers."""
    module = getattr(workload.build_model, "__module__", "")
    recipe = {**recipe_of(workload, optimizer), "reference": workload.reference}
    return {"data": data.digest(), "code": workload.code or code_of(workload, module), **recipe}


def differing(asked: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The fields that differ as text: 'seed is 0 there and 1 here'; empty if none does."""
    here = json.loads(json.dumps(asked))  # as JSON gives them back: lists for tuples
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return ", ".join(f"{name} is {there.get(name)!r} there and {here.get(name)!r} here" for name in names)


def code_of(workload: Workload, module: str) -> str:
    """Twelve hexadecimal digits that change with the code of the model, the loss, the metric and the data.

    They cover the source of these functions, the structure of the model, and the classes of the model that are in the
    workload's own module. They do not cover what these call.
    """
    parts = (
        workload.load,
        workload.build_model,
        workload.task.loss,
        workload.metric.score,
        workload.prepare,
        workload.augment,
    )
    text = [_source(part) for part in parts]
    # An error is reported when the workload is tried.
    with contextlib.suppress(Exception, SystemExit), torch.random.fork_rng([]):
        model = workload.build_model()
        if isinstance(model, nn.Module):
            text += [str(model), *(f"{name} {tuple(p.shape)}" for name, p in model.named_parameters())]
            own = {type(part) for part in model.modules() if type(part).__module__ == module}
            text += sorted(map(_source, own))
    return hashlib.sha256(_ADDRESS.sub("", "\n".join(text)).encode()).hexdigest()[:12]


def _source(part: object) -> str:
    """The source of a function or a class; for an object the source of its class, and its repr."""
    if isinstance(part, functools.partial):
        return f"{_source(part.func)} {part.args} {part.keywords}"
    is_code = inspect.isclass(part) or inspect.isroutine(part)
    try:
        source = inspect.getsource(part if is_code else type(part))  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError):  # built in, or typed into an interpreter
        source = str(getattr(part, "__qualname__", type(part).__qualname__))
    return source if is_code else f"{source} {part!r}"
