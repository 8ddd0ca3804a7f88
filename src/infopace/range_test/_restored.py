"""Everything that a range test touches, put back bit for bit."""

from __future__ import annotations

import contextlib
import copy
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer


@contextlib.contextmanager
def restored(model: nn.Module, optimizer: Optimizer, batches: Any, scaler: Any = None) -> Iterator[None]:
    """Inside, do as you like; afterwards all is as before, also after an error.

    Weights, gradients, buffers and training modes of the model; state and settings of the optimizer; the random
    states of Python, numpy and torch on every device; the scaler; the generators of a data loader and its samplers,
    and the epoch of a distributed sampler. Tensors keep their identity.
    """
    with contextlib.ExitStack() as stack:
        for keep in (_random_states(), _model(model), _optimizer(optimizer), _loader(batches)):
            stack.enter_context(keep)
        if scaler is not None:
            stack.enter_context(_scaler(scaler))
        yield


@contextlib.contextmanager
def _random_states() -> Iterator[None]:
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if devices:
            torch.cuda.set_rng_state_all(devices)


@contextlib.contextmanager
def _model(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    tensors = [*model.parameters(), *model.buffers()]
    before = [tensor.detach().clone() for tensor in tensors]
    buffers = [
        (module, name, buffer) for module in model.modules() for name, buffer in module._buffers.items()
    ]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        # A module may have put a new tensor in the place of a buffer.
        for module, name, buffer in buffers:
            module._buffers[name] = buffer
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        for parameter, gradient in gradients:
            parameter.grad = gradient


@contextlib.contextmanager
def _optimizer(optimizer: Optimizer) -> Iterator[None]:
    state = optimizer.state
    # A learning rate may be a tensor, which others hold too: its value is put back into it.
    settings = [
        {name: (value, copy.deepcopy(value)) for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]
    # The old state is set aside, not copied: the test works on one of its own.
    optimizer.state = defaultdict(dict)
    try:
        yield
    finally:
        optimizer.state = state
        for group, before in zip(optimizer.param_groups, settings, strict=True):
            for name in [name for name in group if name != "params" and name not in before]:
                del group[name]
            for name, (value, content) in before.items():
                group[name] = value.copy_(content) if isinstance(value, torch.Tensor) else content


@contextlib.contextmanager
def _scaler(scaler: Any) -> Iterator[None]:
    # Its scale is made lazily, as a tensor, and state_dict has only its value.
    before = {name: copy.deepcopy(value) for name, value in vars(scaler).items()}
    try:
        yield
    finally:
        vars(scaler).clear()
        vars(scaler).update(before)


@contextlib.contextmanager
def _loader(batches: Any) -> Iterator[None]:
    states = [(generator, generator.get_state()) for generator in generators_of(batches)]
    epochs = [(h, h.epoch) for h in _holders(batches) if hasattr(h, "set_epoch") and hasattr(h, "epoch")]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)
        for sampler, epoch in epochs:
            sampler.epoch = epoch


def generators_of(batches: Any) -> list[torch.Generator]:
    """The generators that a data loader and its samplers draw from, each once."""
    found = {id(g): g for g in (getattr(h, "generator", None) for h in _holders(batches)) if g is not None}
    return list(found.values())


def _holders(batches: Any) -> list[Any]:
    """A data loader and its samplers: who may hold a generator or an epoch."""
    holders = [batches, *(getattr(batches, name, None) for name in ("sampler", "batch_sampler"))]
    return [*holders, getattr(holders[-1], "sampler", None)]
