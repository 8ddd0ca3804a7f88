"""Random numbers that leave no trace: the global states, and the generators that objects keep."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import random
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

# The search for generators stops after so many objects. Of a long list only the first items are searched.
_MOST_OBJECTS, _MOST_ITEMS = 20_000, 100
# These hold numbers and text, or the code of others.
_LEAVES = (str, bytes, bytearray, int, float, complex, np.ndarray, np.generic, torch.Tensor, types.ModuleType)
_REFERENCES = (weakref.ReferenceType, *weakref.ProxyTypes)
_LIBRARIES = {"torch", "numpy", *sys.stdlib_module_names}

_State = tuple[Callable[[Any], Any], Any]


@contextlib.contextmanager
def random_state_kept(devices: Iterable[torch.device] = (), *, seed: int | None = None) -> Iterator[None]:
    """Restore the random states of Python, numpy and torch at the end: torch's on the CPU and on these CUDA devices.

    With a seed, the states of Python, numpy and torch's CPU start from it. Those of the devices do not.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device.index for device in devices]):
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed % 2**32)
                # torch.manual_seed would seed every GPU as well.
                torch.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def generators_of(*holders: Any) -> list[Any]:
    """The generators of numpy, torch and Python that can be reached from some objects, each once, nearest first.

    The search follows attributes, items of containers, closures and defaults of functions, and the module variables
    that functions and methods name. It does not reach other processes, compiled code, or items of a list after the
    first hundred.
    """
    found: list[Any] = []
    # It holds the objects too: the address of an object that is gone may be used again.
    seen: dict[int, Any] = {}
    waiting = deque(holders)
    while waiting and len(seen) < _MOST_OBJECTS:
        thing = waiting.popleft()
        # isinstance would ask a weak proxy for the class of the object that it refers to.
        if id(thing) in seen or thing is None or issubclass(type(thing), _LEAVES + _REFERENCES):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.random.Generator | np.random.RandomState | random.Random | torch.Generator):
            if not isinstance(thing, random.SystemRandom):  # the system's generator has no state
                found.append(thing)
        else:
            waiting.extend(_held_by(thing))
    return found


@contextlib.contextmanager
def generators_kept(generators: Iterable[Any]) -> Iterator[None]:
    """Restore the states of these generators at the end."""
    before = [_state(generator) for generator in generators]
    try:
        yield
    finally:
        for restore, state in before:
            restore(state)


def seed_generators(generators: Iterable[Any], *entropy: int) -> None:
    """Seed each generator. Equal entropy and equal kinds of generators, in this order, give equal numbers."""
    for place, generator in enumerate(generators):
        # The first gets the stream that a single generator would get; each other gets its own.
        draws = np.random.SeedSequence([*entropy, place] if place else entropy)
        draw = int(draws.generate_state(1, np.uint64)[0])
        if isinstance(generator, torch.Generator):
            generator.manual_seed(draw >> 1)
        elif isinstance(generator, random.Random):
            generator.seed(draw)
        elif isinstance(generator, np.random.RandomState):
            generator.seed(draw % 2**32)
        else:
            kind: Any = type(generator.bit_generator)
            generator.bit_generator.state = kind(draw).state


def _state(generator: Any) -> _State:
    """The function that sets a generator's state, and its state now."""
    if isinstance(generator, torch.Generator):
        return generator.set_state, generator.get_state()
    if isinstance(generator, random.Random):
        return generator.setstate, generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.set_state, copy.deepcopy(generator.get_state(legacy=False))
    bits = generator.bit_generator
    return functools.partial(setattr, bits, "state"), copy.deepcopy(bits.state)


def _held_by(thing: Any) -> list[Any]:
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, types.MethodType | types.BuiltinMethodType):
        return [thing.__self__, getattr(thing, "__func__", None)]
    if isinstance(thing, types.FunctionType):
        return _held_by_function(thing)
    if isinstance(thing, type):
        return _held_by_class(thing)
    kind = type(thing)
    names = ["__dict__", *(name for base in kind.__mro__ for name in _slots(base))]
    return [*_items(thing), *(_attribute(thing, name) for name in names), *kind.__mro__]


def _items(thing: Any) -> list[Any]:
    """The first items of a container, without its own `__iter__`, which may draw random numbers."""
    if isinstance(thing, dict):
        return [part for pair in itertools.islice(dict.items(thing), _MOST_ITEMS) for part in pair]
    kind: Any = next((kind for kind in (list, tuple, deque, set, frozenset) if isinstance(thing, kind)), None)
    return [] if kind is None else list(itertools.islice(kind.__iter__(thing), _MOST_ITEMS))


def _attribute(thing: Any, name: str) -> Any:
    """An attribute that is stored, without a call of `__getattr__`."""
    try:
        return object.__getattribute__(thing, name)
    except AttributeError:
        return None


def _held_by_class(kind: type) -> list[Any]:
    if kind.__module__.partition(".")[0] in _LIBRARIES:
        return []
    plain = (
        part.__func__ if isinstance(part, staticmethod | classmethod) else part
        for part in vars(kind).values()
    )
    return [part for part in plain if not isinstance(part, type)]


def _held_by_function(function: types.FunctionType) -> list[Any]:
    if (function.__module__ or "").partition(".")[0] in _LIBRARIES:
        return []
    cells = [cell for cell in function.__closure__ or () if _is_filled(cell)]
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [*(cell.cell_contents for cell in cells), *defaults, *named]


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # the variable has no value yet
        return False
    return True


def _slots(kind: type) -> tuple[str, ...]:
    if kind.__module__.partition(".")[0] in _LIBRARIES:
        return ()
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
