"""Everything that a range test touches, put back bit for bit."""

from __future__ import annotations

import contextlib
import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from infopace.model.random_state import generators_kept, generators_of, random_state_kept
from infopace.model.snapshot import Buffers, Weights, with_state
from infopace.scheduler import uncounted_steps


@contextlib.contextmanager
def restored(
    model: nn.Module, optimizer: Optimizer, batches: Any, scaler: Any = None, loss: Any = None
) -> Iterator[None]:
    """Inside, do as you like. Afterwards all is as before, also after an error.

    Weights, gradients, buffers and training modes of the model, and of the loss where that is a module; state and
    settings of the optimizer; the random states of Python, numpy and torch on every device; the scaler; the generators
    that model, loss and batches keep (see `generators_of`), and the epoch of a distributed sampler. Tensors keep their
    identity.
    """
    devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    with contextlib.ExitStack() as stack:
        for keep in (random_state_kept(devices), _model(model), _optimizer(optimizer), _epochs(batches)):
            stack.enter_context(keep)
        stack.enter_context(generators_kept(generators_of(batches, model, loss)))
        if isinstance(loss, nn.Module):
            stack.enter_context(_model(loss))
        if scaler is not None:
            stack.enter_context(_scaler(scaler))
        yield


@contextlib.contextmanager
def _model(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    weights, buffers = Weights(model.parameters()), Buffers(model)
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, gradient in gradients:
            parameter.grad = gradient
        weights.put_back()
        buffers.put_back()


@contextlib.contextmanager
def _optimizer(optimizer: Optimizer) -> Iterator[None]:
    inside = with_state(optimizer)
    states = [one.state for one in inside]
    # A learning rate may be a tensor, which others hold too: its value is put back into it.
    settings = [
        {name: (value, copy.deepcopy(value)) for name, value in group.items() if name != "params"}
        for one in inside
        for group in one.param_groups
    ]
    # The old state is set aside, not copied: the test works on one of its own.
    for one in inside:
        one.state = defaultdict(dict)
    try:
        with uncounted_steps(optimizer):
            yield
    finally:
        for one, state in zip(inside, states, strict=True):
            one.state = state
        groups = [group for one in inside for group in one.param_groups]
        for group, before in zip(groups, settings, strict=True):
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
def _epochs(batches: Any) -> Iterator[None]:
    """A data loader and its samplers may hold an epoch."""
    holders = [batches, *(getattr(batches, name, None) for name in ("sampler", "batch_sampler"))]
    holders.append(getattr(holders[-1], "sampler", None))
    epochs = [(h, h.epoch) for h in holders if hasattr(h, "set_epoch") and hasattr(h, "epoch")]
    try:
        yield
    finally:
        for sampler, epoch in epochs:
            sampler.epoch = epoch
