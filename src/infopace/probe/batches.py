"""An item of a data set, or a batch of a loader, as inputs and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopace.estimators._inputs import as_numbers

# Names that data sets on a hub use for targets.
TARGETS = ("labels", "label", "targets", "target", "y")
_HOW = "give unpack=f, with f({}) -> (inputs, targets)"

Unpack = Callable[[Any], tuple[Any, Any]]


def numbers(values: Any, name: str) -> Tensor:
    """Numbers of any kind as a tensor; plain lists in torch's own default format."""
    if isinstance(values, Tensor):
        return values
    # torch drops the mask of a masked array, and does not read columns and tables.
    foreign = any(hasattr(values, sign) for sign in ("__array__", "isna", "to_pylist"))
    if foreign or (isinstance(values, list) and any(isinstance(v, np.ma.MaskedArray) for v in values)):
        return as_numbers(values, name)
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        kind = type(values).__name__
        if isinstance(values, list | tuple) and len(values):
            kind += f" of {type(values[0]).__name__}"
    several = ", or a tuple (arguments) or dict (keywords) of such" if name == "inputs" else ""
    raise ValueError(f"{name} must be numbers in one array{several}, got {kind}")


def as_tensors(inputs: Any) -> Any:
    """The same inputs with every array as a tensor."""
    if isinstance(inputs, Mapping):
        return {name: as_tensors(part) for name, part in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(as_tensors(part) for part in inputs)
    return numbers(inputs, "inputs")


def batch_of(batch: Any, like: tuple[Any, Tensor] | None, unpack: Unpack | None = None) -> tuple[Any, Tensor]:
    """(inputs, targets) of a batch; `like` holds the inputs and the targets of a probe, None: there is none yet.

    A pair is inputs and targets. A longer tuple has as many inputs as the probe, then the targets, and what follows is
    ignored. In a dict the targets have one of the usual names and the inputs have those of the probe. If the probe's
    input is one tensor, the only other entry is the input.

    Raises:
        ValueError: another kind of batch, or one with unclear targets.
    """
    if unpack is not None:
        inputs, targets = _unpacked(batch, unpack, "batch")
    elif isinstance(batch, Mapping):
        inputs, targets = _named(batch, None if like is None else like[0])
    elif isinstance(batch, tuple | list) and len(batch) == 2:
        inputs, targets = batch
    elif (
        like is not None
        and isinstance(batch, tuple | list)
        and len(batch) > 2
        and not isinstance(like[0], Mapping)
    ):
        inputs, targets = _placed(batch, *like)
    else:
        raise _refused("a batch", batch, "batch")
    if isinstance(inputs, list) and any(isinstance(part, Tensor) for part in inputs):
        inputs = tuple(inputs)
    return as_tensors(inputs), numbers(targets, "targets")


class Items:
    """Splits the items of a data set into input and target, one after the other; call `check` at the end.

    A pair is input and target. In a longer tuple the second is the target if all that follows only identifies the
    example: text, or a whole number that differs in every item. In a dict the target has one of the usual names; one
    other entry is the input, several are keywords.
    """

    def __init__(self, unpack: Unpack | None = None) -> None:
        self._unpack, self._count, self._longer = unpack, 0, None
        # Per place after the target: the whole numbers found there.
        self._found: dict[int, set[int]] = {}

    def split(self, item: Any) -> tuple[Any, Any]:
        """(input, target). Raises ValueError if the target is unclear."""
        self._count += 1
        if self._unpack is not None:
            return _unpacked(item, self._unpack, "item")
        if isinstance(item, Mapping):
            return _named(item)
        if not (isinstance(item, tuple | list) and len(item) >= 2):
            raise _refused("an item of the data set", item, "item")
        for place, value in enumerate(item[2:]):
            self._longer = item
            if _is_whole(value):
                self._found.setdefault(place, set()).add(int(value))
            elif not _is_text(value):
                raise _refused("an item of the data set", item, "item")
        return item[0], item[1]

    def check(self) -> None:
        """Raise ValueError if a whole number after the target occurred twice: it may be the target."""
        if any(len(found) < self._count for found in self._found.values()):
            raise _refused("an item of the data set", self._longer, "item")


def _named(batch: Mapping[str, Any], like: Any = None) -> tuple[Any, Any]:
    """Targets by their usual name; the other entries are inputs."""
    found = [name for name in TARGETS if name in batch]
    rest = {name: part for name, part in batch.items() if name not in found}
    if len(found) != 1 or not rest:
        got = f"{', '.join(map(repr, batch))}"
        raise ValueError(
            f"a dict must hold targets as one of {', '.join(TARGETS)}, and inputs, got {got}; {_HOW.format('dict')}"
        )
    targets = batch[found[0]]
    if isinstance(like, Mapping):
        missing = [name for name in like if name not in rest]
        if missing:
            got = ", ".join(map(repr, batch))
            raise ValueError(
                f"a batch must hold the probe's input {missing[0]!r}, got {got}; {_HOW.format('batch')}"
            )
        return {name: rest[name] for name in like}, targets
    if len(rest) == 1:
        return next(iter(rest.values())), targets
    if like is not None:
        got = ", ".join(map(repr, rest))
        raise ValueError(f"a batch must have one input, as the probe has, got {got}; {_HOW.format('batch')}")
    texts = [name for name, part in rest.items() if _is_text(part)]
    if texts:
        raise ValueError(f"inputs must be numbers, got text as {texts[0]!r}; {_HOW.format('item')}")
    return rest, targets


def _placed(batch: Sequence[Any], inputs: Any, targets: Tensor) -> tuple[Any, Any]:
    """As many inputs as the probe has, and the next entry as targets if it fits the probe's."""
    count = len(inputs) if isinstance(inputs, tuple) else 1
    if len(batch) <= count:
        raise ValueError(
            f"a batch must hold the probe's {count} inputs and the targets, got {_kind(batch)}; {_HOW.format('batch')}"
        )
    found = numbers(batch[count], "targets")
    if found.ndim == 0 or found[0].numel() != targets[0].numel():
        raise ValueError(
            f"entry {count} of a batch must be targets like the probe's, got shape {tuple(found.shape)}; "
            f"{_HOW.format('batch')}"
        )
    return tuple(batch[:count]) if isinstance(inputs, tuple) else batch[0], found


def _unpacked(batch: Any, unpack: Unpack, what: str) -> tuple[Any, Any]:
    found = unpack(batch)
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise ValueError(f"unpack({what}) must return (inputs, targets), got {_kind(found)}")
    return found[0], found[1]


def _is_whole(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not (value.is_floating_point() or value.is_complex())
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    first = value[0] if isinstance(value, list | tuple) and value else value
    return isinstance(first, str | bytes)


def _refused(what: str, got: Any, one: str) -> ValueError:
    return ValueError(f"{what} must be a pair (inputs, targets), got {_kind(got)}; {_HOW.format(one)}")


def _kind(value: Any) -> str:
    return type(value).__name__ + (f" of {len(value)}" if isinstance(value, tuple | list | Mapping) else "")
