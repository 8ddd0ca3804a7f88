"""Diagnostics of a run after each epoch, beside its test: `infopace train --diagnostics NOISE`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from infopace import Probe
from infopace.diagnostics import ActivationSpread, Diagnostics, InformationPlane
from infopace.lab.errors import NotFinite


def diagnostics_of(noise: float | None, model: nn.Module, probe: Callable[[], Probe]) -> Diagnostics | None:
    """The information plane with this noise, and the spread of activations; None without noise.

    Raises ValueError for noise that is no positive number.
    """
    if noise is None:
        return None
    examples = probe()
    return Diagnostics(model, InformationPlane(examples, noise), spread=ActivationSpread(examples))


def tested(
    test: Callable[[], dict[str, Any]],
    diagnostics: Diagnostics | None,
    autocast: Callable[[], AbstractContextManager[object]],
) -> dict[str, Any]:
    """What a test found, and under "diagnostics" what they are. Raises NotFinite if a layer is not finite."""
    found = test()
    if diagnostics is None:
        return found
    try:
        with autocast():
            return {**found, "diagnostics": diagnostics.measure()}
    except ValueError as error:
        raise NotFinite(str(error)) from error
