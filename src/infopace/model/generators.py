"""The random generators that a data set, its loader and its transforms keep for themselves."""

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

# Nearer objects are looked at first; of a long list its beginning only.
_MOST_OBJECTS, _MOST_ITEMS = 20_000, 100
# What these hold is numbers and text, or the code of others.
_LEAVES = (str, bytes, bytearray, int, float, complex, np.ndarray, np.generic, torch.Tensor, types.ModuleType)
_STANDING = (weakref.ReferenceType, *weakref.ProxyTypes)
_NOT_THEIRS = {"torch", "numpy", *sys.stdlib_module_names}

_State = tuple[Callable[[Any], Any], Any]


def generators_of(*holders: Any) -> list[Any]:
    """The generators of numpy, torch and Python that can be reached from some objects, each once, nearest first.

    Reached are attributes, items of containers, what a function closes over, its defaults, and the module's variables
    that it and the methods of an object name. Not reached is what lies in another process, in compiled code, or in a
    list behind its first hundred items.
    """
    found: list[Any] = []
    seen: dict[int, Any] = {}  # the objects as well: an address is free again where its object is gone
    waiting = deque(holders)
    while waiting and len(seen) < _MOST_OBJECTS:
        thing = waiting.popleft()
        # What stands for another object, as a weak reference may, says that it is of its class.
        if id(thing) in seen or thing is None or issubclass(type(thing), _LEAVES + _STANDING):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.random.Generator | np.random.RandomState | random.Random | torch.Generator):
            if not isinstance(thing, random.SystemRandom):  # the system's has no state
                found.append(thing)
        else:
            waiting.extend(_held_by(thing))
    return found


@contextlib.contextmanager
def generators_kept(generators: Iterable[Any]) -> Iterator[None]:
    """Afterwards their states are as before."""
    before = [_state(generator) for generator in generators]
    try:
        yield
    finally:
        for put_back, state in before:
            put_back(state)


def seed_generators(generators: Iterable[Any], *entropy: int) -> None:
    """Let each begin anew. Equal entropy and equal kinds of generators, in this order, give equal numbers."""
    for place, generator in enumerate(generators):
        # The first has the stream of a loader's only generator, the others one of their own each.
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
    """How to put a generator back, and what it is put back to."""
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
    """The first items of a container. Its own way to iterate, if it has one, may draw numbers: it is passed by."""
    if isinstance(thing, dict):
        return [part for pair in itertools.islice(dict.items(thing), _MOST_ITEMS) for part in pair]
    kind: Any = next((kind for kind in (list, tuple, deque, set, frozenset) if isinstance(thing, kind)), None)
    return [] if kind is None else list(itertools.islice(kind.__iter__(thing), _MOST_ITEMS))


def _attribute(thing: Any, name: str) -> Any:
    """An attribute that is there, without asking `__getattr__`."""
    try:
        return object.__getattribute__(thing, name)
    except AttributeError:
        return None


def _held_by_class(kind: type) -> list[Any]:
    if kind.__module__.partition(".")[0] in _NOT_THEIRS:
        return []
    plain = (
        part.__func__ if isinstance(part, staticmethod | classmethod) else part
        for part in vars(kind).values()
    )
    return [part for part in plain if not isinstance(part, type)]


def _held_by_function(function: types.FunctionType) -> list[Any]:
    if (function.__module__ or "").partition(".")[0] in _NOT_THEIRS:
        return []
    cells = [cell for cell in function.__closure__ or () if _is_filled(cell)]
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [*(cell.cell_contents for cell in cells), *defaults, *named]


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # of a variable that has no value yet
        return False
    return True


def _slots(kind: type) -> tuple[str, ...]:
    if kind.__module__.partition(".")[0] in _NOT_THEIRS:
        return ()
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
