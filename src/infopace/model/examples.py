"""Where the examples are in the output of a layer, which need not be its first dimension."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Outputs of the same examples in passes of different sizes differ by rounding. Other examples' differ by more.
_ROUNDING = 0.02


class Layout:
    """Where the examples are in the outputs of layers, found by a small pass before the first large one.

    The sizes of the two passes differ, so a dimension that follows them is that of the examples: the second in the
    output of a recurrent layer (T, n, d), none in that of position embeddings (T, d), even where T is n. An output
    (n * each, ...) that lists the entries of one example after the other, as attention windows do, counts too.

    Attributes:
        few: The number of examples in the small pass.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self.few = 2 if n != 2 else 3
        # Per layer, its outputs in the small pass, one for each of its calls.
        self._small: dict[str, list[Tensor]] = {}
        # Per layer and call: the dimension, and how many entries of it one example has; None: there is none.
        self._places: dict[tuple[str, int], tuple[int, int] | None] = {}

    def keep(self, layer: str, values: Tensor | None) -> None:
        """Take up what a layer gives in the small pass."""
        self._small.setdefault(layer, []).append(torch.empty(0) if values is None else values.clone())

    def forget(self) -> None:
        """The small pass has failed: the examples are in the first dimension."""
        self._small.clear()

    def examples_first(self, layer: str, call: int, values: Tensor, n: int) -> Tensor:
        """The output (n, ...) of a layer in a call, counted from 0, of a pass of n examples.

        Raises:
            ValueError: it has no dimension of the examples.
        """
        key = layer, call
        if key not in self._places:
            self._places[key] = self._find(self._small.get(layer, ()), call, values, n)
        place = self._places[key]
        if place is None or values.ndim <= place[0] or values.shape[place[0]] != n * place[1]:
            raise ValueError(
                f"the output of layer {layer!r} must have one row per example, got shape {tuple(values.shape)} "
                f"for {n} examples"
            )
        axis, each = place
        return values.movedim(axis, 0) if each == 1 else values.reshape(n, each, *values.shape[1:])

    def _find(
        self, small: list[Tensor] | tuple[()], call: int, values: Tensor, n: int
    ) -> tuple[int, int] | None:
        if call >= len(small):
            # It did not run in the small pass, as a branch that hangs on the data.
            return (0, 1) if values.ndim and len(values) == n else None
        few = small[call]
        if few.ndim != values.ndim or values.ndim == 0:
            return None
        for axis, sizes in enumerate(zip(values.shape, few.shape, strict=True)):
            if sizes == (n, self.few):
                return axis, 1
        each = len(values) // n
        if each < 2 or len(values) != n * each or few.shape != (self.few * each, *values.shape[1:]):
            return None
        both = min(n, self.few) * each
        return (0, each) if _alike(values[:both], few[:both]) else None


def same_for_all(values: Tensor) -> bool:
    """Whether every example of (n, ...) has the same values."""
    if len(values) < 2 or bool((values[1] != values[0]).any()):
        return False
    return not bool((values != values[:1]).any())


def tells_examples_apart(arguments: Any, n: int) -> bool:
    """Whether a tensor among a layer's arguments has a dimension of n examples along which it is not constant."""
    if isinstance(arguments, Tensor):
        axes = [axis for axis, size in enumerate(arguments.shape) if size == n]
        return any(not same_for_all(arguments.movedim(axis, 0)) for axis in axes)
    parts = arguments.values() if isinstance(arguments, dict) else arguments
    return isinstance(arguments, dict | list | tuple) and any(tells_examples_apart(part, n) for part in parts)


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal, but for rounding."""
    if not one.is_floating_point():
        return torch.equal(one, other)
    one, other = one.float(), other.float()
    finite = one[one.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=0.0, atol=_ROUNDING * scale, equal_nan=True)
