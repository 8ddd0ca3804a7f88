"""Copies of the state of a model, an optimizer and other objects, to be put back bit for bit.

Of a tensor that is split over processes, each process copies its own part. Norms and checks are those of the whole, so
they are collective then.
"""

from __future__ import annotations

import collections
import copy
import math
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infopace.model.sharding import is_sharded, local, reshard, sum_over_parts


class Buffers:
    """The buffers of a model and their values. A forward pass may create, replace and change them."""

    def __init__(self, model: nn.Module, keep_on: torch.device | None = None) -> None:
        self._found = [(module, dict(module._buffers)) for module in model.modules()]
        tensors = [buffer for _, found in self._found for buffer in found.values() if buffer is not None]
        self._values = [(buffer, _copy(buffer, keep_on)) for buffer in tensors]

    @torch.no_grad()
    def put_back(self) -> None:
        """Restore the buffers; tensors keep their identity."""
        for module, found in self._found:
            module._buffers.clear()
            module._buffers.update(found)
        for buffer, value in self._values:
            # An expanded buffer cannot be written to. It cannot have changed either.
            part = local(buffer)
            value = value.to(part.device)
            if not torch.equal(part, value):
                part.copy_(value)


class Weights:
    """The values of some weights. `keep_on` is the device of the copies; None: the device of each weight."""

    def __init__(self, weights: Iterable[Tensor], keep_on: torch.device | None = None) -> None:
        self._values = [(weight, _copy(weight, keep_on)) for weight in weights]

    @property
    def weights(self) -> list[Tensor]:
        """The weights themselves."""
        return [weight for weight, _ in self._values]

    @property
    def norm(self) -> float:
        """The Euclidean norm of the copies, without values that are not finite."""
        return _norm_of_parts(self._values)

    @property
    def norm_now(self) -> float:
        """The Euclidean norm of the weights themselves, without values that are not finite."""
        return norm_of(weight for weight, _ in self._values)

    @property
    def unit_norm(self) -> float:
        """The norm of weights of these shapes if the weights of each unit had norm 1."""
        return math.sqrt(sum(len(weight) if weight.ndim else 1 for weight, _ in self._values))

    @property
    def newly_not_finite(self) -> bool:
        """Whether a value that is finite in a copy is not finite in the weight itself."""
        parts: list[tuple[Tensor, float]] = []
        for weight, value in self._values:
            not_finite = ~local(weight).isfinite()
            newly = bool(not_finite.any()) and bool(
                (not_finite & value.to(not_finite.device).isfinite()).any()
            )
            parts.append((weight, float(newly)))
        # No early return: all processes must ask for the sum.
        return sum_over_parts(parts) > 0

    @torch.no_grad()
    def put_back(self) -> None:
        """Restore the weights; tensors keep their identity."""
        for weight, value in self._values:
            local(weight).copy_(value)


class Thawing:
    """Finds the weights that an optimizer has held frozen and trains later: copies that were made before lack them.

    It is asked before each step, and looks closer only where the weights that are trained are others than before.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.copied()

    def copied(self) -> None:
        """All weights that are trained now have been copied."""
        self._known = self._which()

    def lacking(self, copies: Sequence[object]) -> list[Tensor]:
        """The weights that are trained now and that none of these copies holds; mostly there are none."""
        now = self._which()
        if now == self._known:
            return []
        self._known = now
        held = {id(weight) for part in copies if isinstance(part, Weights) for weight in part.weights}
        weights = [weight for group in self._optimizer.param_groups for weight in group["params"]]
        return [weight for weight in weights if weight.requires_grad and id(weight) not in held]

    def _which(self) -> list[bool]:
        """Of each weight whether it is trained. One that thaws as another freezes does not change their number."""
        return [weight.requires_grad for group in self._optimizer.param_groups for weight in group["params"]]


def where_to_keep(model: nn.Module) -> torch.device | None:
    """The device of copies, for `keep_on`: the computer's memory for a model on a GPU; None: that of each weight."""
    on_gpu = any(weight.device.type != "cpu" for weight in model.parameters())
    return torch.device("cpu") if on_gpu else None


# Of a parameter group: what is kept elsewhere, and what says whose it is.
_NOT_SETTINGS = {"params", "lr", "initial_lr", "layer"}


class OptimizerState:
    """All that an optimizer and those inside it remember, except the learning rates: state, settings, own attributes.

    Tensors, lists and objects in them keep their identity where they still exist, since compiled code, CUDA graphs and
    other places in the state may hold them.
    """

    def __init__(self, optimizer: Optimizer, keep_on: torch.device | None = None) -> None:
        # A wrapper may share both with the optimizer inside it.
        inside = optimizers_in(optimizer)
        states = {
            id(one.state): one for one in reversed(inside) if isinstance(getattr(one, "state", None), dict)
        }
        groups = {id(one.param_groups): one for one in reversed(inside) if hasattr(one, "param_groups")}
        self._states = [
            (one, {weight: _Kept(state, keep_on) for weight, state in one.state.items()})
            for one in states.values()
        ]
        self._groups = [
            (
                one,
                [
                    {n: _Kept(value, keep_on) for n, value in group.items() if n not in _NOT_SETTINGS}
                    for group in one.param_groups
                ],
            )
            for one in groups.values()
        ]
        self._attributes = [
            (
                one,
                {name: _Kept(value, keep_on) for name, value in vars(one).items() if _is_memory(name, value)},
            )
            for one in inside
        ]

    def put_back(self) -> None:
        """Restore them, each tensor on its device. Groups and attributes added since then stay unchanged."""
        for optimizer, attributes in self._attributes:
            vars(optimizer).update({name: kept.value() for name, kept in attributes.items()})
        for optimizer, state in self._states:
            optimizer.state.clear()
            for weight, kept in state.items():
                optimizer.state[weight] = kept.value()
        for optimizer, groups in self._groups:
            for group, settings in zip(optimizer.param_groups, groups, strict=False):
                for name in group.keys() - settings.keys() - _NOT_SETTINGS:
                    del group[name]  # some optimizers count their steps there from the first on
                group.update({name: kept.value() for name, kept in settings.items()})


@runtime_checkable
class Stateful(Protocol):
    """An object that gives its state and loads it again."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class State:
    """The state of any object that has one."""

    def __init__(self, owner: Stateful) -> None:
        self._owner, self._state = owner, copy.deepcopy(owner.state_dict())

    def put_back(self) -> None:
        """Restore the state."""
        self._owner.load_state_dict(copy.deepcopy(self._state))


Contents = Buffers | Weights | OptimizerState | State


def contents_of(holder: Any, keep_on: torch.device | None = None) -> list[Contents]:
    """Copies of what a tensor, a module, an optimizer or another object with a state holds.

    Raises:
        TypeError: an object without a state.
    """
    if isinstance(holder, Tensor):
        return [Weights([holder], keep_on)]
    if isinstance(holder, nn.Module):
        reshard(holder)
        return [Weights(holder.parameters(), keep_on), Buffers(holder, keep_on)]
    if isinstance(holder, Optimizer):
        return [OptimizerState(holder, keep_on)]
    if isinstance(holder, Stateful):
        return [State(holder)]
    raise TypeError(
        "also must list tensors, modules or objects with state_dict and load_state_dict, "
        f"got {type(holder).__name__} in it"
    )


def optimizers_in(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizer and those inside it: its attributes, and the entries of lists and dicts among them."""
    found: list[Optimizer] = [optimizer]
    for one in found:  # the list grows during the loop
        for value in vars(one).values():
            parts = value if isinstance(value, list | tuple) else [value]
            parts = value.values() if isinstance(value, dict) else parts
            inner = [part for part in parts if isinstance(part, Optimizer)]
            found += [part for part in inner if all(part is not known for known in found)]
    return found


# What torch and its schedulers keep in an optimizer, and what GradScaler sets for one step.
_OF_TORCH = {"state", "param_groups", "defaults", "_opt_called", "_step_count", "grad_scale", "found_inf"}
_PLAIN = (bool, int, float, complex, str, type(None))


def _is_memory(name: str, value: Any) -> bool:
    """Whether an attribute of an optimizer may change with its steps: numbers, tensors, containers of them."""
    if name in _OF_TORCH or name.startswith("_optimizer_"):  # the latter are hooks
        return False
    if isinstance(value, dict | list | tuple | set | collections.deque):
        return all(_is_memory("", part) for part in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, _PLAIN) or (isinstance(value, Tensor) and not value.requires_grad)


def with_state(optimizer: Optimizer) -> list[Optimizer]:
    """Those of `optimizers_in` that keep a state and groups of their own: not several optimizers as one."""
    return [one for one in optimizers_in(optimizer) if "state" in vars(one)]


class _Kept:
    """A copy of a value: numbers, tensors, containers and objects of them; weights in it are not copied."""

    def __init__(self, value: Any, keep_on: torch.device | None) -> None:
        self._value: Any = value
        self._parts: dict[Any, Any] = {}
        self._device: torch.device | None = None
        self._layout: dict[str, Any] = {}
        if isinstance(value, Tensor) and not value.requires_grad:
            self._value, self._device = _copy(value, keep_on), local(value).device
            self._original = weakref.ref(value)
            if is_sharded(value):
                self._layout = _layout_of(value)
        elif isinstance(value, torch.Generator):
            self._parts = {"": _Kept(value.get_state(), keep_on)}
        elif isinstance(value, dict):
            self._parts = {name: _Kept(part, keep_on) for name, part in value.items()}
        elif isinstance(value, list | tuple | collections.deque):
            self._parts = dict(enumerate(_Kept(part, keep_on) for part in value))
        elif isinstance(value, set):
            self._parts = dict.fromkeys(value)
        elif _is_holder(value):
            self._parts = {name: _Kept(part, keep_on) for name, part in vars(value).items()}

    def value(self) -> Any:
        """What it was, and can be again: tensors that still exist and objects themselves, otherwise copies."""
        if self._device is not None:
            return self._tensor(self._device)
        if isinstance(self._value, set):
            self._value.clear()
            self._value.update(self._parts)
            return self._value
        if isinstance(self._value, torch.Generator):
            self._value.set_state(self._parts[""].value())
            return self._value
        parts = {name: part.value() for name, part in self._parts.items()}
        if isinstance(self._value, dict):
            self._value.clear()
            self._value.update(parts)
        elif isinstance(self._value, list | collections.deque):
            self._value.clear()
            self._value.extend(parts.values())
        elif isinstance(self._value, tuple):
            kind = type(self._value)
            return kind(*parts.values()) if hasattr(kind, "_fields") else kind(parts.values())
        elif parts:
            vars(self._value).clear()
            vars(self._value).update(parts)
        return self._value

    def __getstate__(self) -> dict[str, Any]:
        # A copy, deep or by pickle, belongs to the copied tensor.
        found = self.__dict__.get("_original")
        return {**self.__dict__, **({"_original": found()} if found else {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if state.get("_original") is not None:
            self._original = weakref.ref(state["_original"])
        elif "_original" in state:
            self._original = _gone

    @torch.no_grad()
    def _tensor(self, device: torch.device) -> Tensor:
        copied, original = _copy(self._value, device), self._original()
        if original is None or local(original).shape != copied.shape or original.is_inference():
            return _of_part(copied, self._layout) if self._layout else copied
        local(original).copy_(copied)
        return original


def _gone() -> None:
    """The tensor that a reference led to."""


def _is_holder(value: Any) -> bool:
    """Whether a value is an object that holds others, and no function, type, module or optimizer."""
    others = (type, nn.Module, Optimizer, Tensor, torch.dtype, torch.device)
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, others)


def norm_of(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of the finite values of all tensors together; inf if it overflows."""
    return _norm_of_parts((tensor, local(tensor)) for tensor in tensors)


def _norm_of_parts(parts: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The norm of some tensors, each given with this process's part of it, or a copy of that."""
    squares: list[tuple[Tensor, float]] = []
    norms: list[float] = []
    for tensor, part in parts:
        if part.is_complex():
            part = torch.view_as_real(part.resolve_conj())
        norm = _norm(part)
        if not math.isfinite(norm):
            norm = _norm(torch.where(part.isfinite(), part, 0))
        if is_sharded(tensor):
            squares.append((tensor, norm * norm))
        else:
            norms.append(norm)
    if squares:
        norms.append(math.sqrt(sum_over_parts(squares)))
    return math.hypot(*norms)


def _norm(tensor: Tensor) -> float:
    # Apple's GPUs have no float64.
    precise = torch.float32 if tensor.device.type == "mps" else torch.float64
    return float(torch.linalg.vector_norm(tensor, dtype=precise))


def _copy(tensor: Tensor, device: torch.device | None) -> Tensor:
    """A copy of this process's part."""
    part = local(tensor)
    return part.to(part.device if device is None else device, copy=True)


def _layout_of(tensor: Any) -> dict[str, Any]:
    """How a DTensor is split over processes."""
    return {
        "device_mesh": tensor.device_mesh,
        "placements": tensor.placements,
        "shape": tensor.shape,
        "stride": tensor.stride(),
    }


def _of_part(part: Tensor, layout: dict[str, Any]) -> Tensor:
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(part, run_check=False, **layout)
