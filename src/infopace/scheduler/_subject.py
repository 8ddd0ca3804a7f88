"""What a run is measured on: a model, the probe, and held-out examples."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from infopace._checks import shown
from infopace.model.layers import check_model, nearest_measured, weight_layers, with_neighbours
from infopace.probe import Measurement, Measuring, Probe
from infopace.scheduler._held_out_record import measure_held_out
from infopace.scheduler._ledger import Ledger


def with_weights_of_its_own(measured: object, model: nn.Module) -> list[nn.Module]:
    """What is measured instead of the model, in a list, if it is a module whose weights are not the model's."""
    own = {id(parameter) for parameter in model.parameters()}
    others = isinstance(measured, nn.Module) and any(
        id(weight) not in own for weight in measured.parameters()
    )
    return [measured] if isinstance(measured, nn.Module) and others else []


def nats_by_layer(
    measurement: Measurement, model: nn.Module, history: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Information by layer, in nats. A layer that cannot be measured has its neighbour's.

    One that could be until now, and was not this time, keeps its last value: a jump to another layer's would be read as
    learning.
    """
    layers = list(weight_layers(model))
    found = with_neighbours(measurement.layers, measurement.left_out, layers)
    nats = {layer: one.estimate.nats for layer, one in found.items()}
    for layer in measurement.left_out:
        neighbour = nearest_measured(layer, layers, measurement.layers)
        if layer in history and history[layer] != history.get(neighbour):
            nats[layer] = history[layer][-1]
    return nats


def errors_by_layer(measurement: Measurement) -> dict[str, float]:
    """The standard error of each layer's information, in nats, where it was measured.

    It is 1 / n nats at least. A constant prediction has no error by the examples, but its scale is fitted to them.
    """
    estimates = {layer: one.estimate for layer, one in measurement.layers.items()}
    return {
        layer: max(float(one.std_error), 1 / one.n)
        for layer, one in estimates.items()
        if math.isfinite(one.std_error)
    }


class Subject:
    """A model that is measured, and how.

    Args:
        of: The model; or a function that returns it, called for each measurement.
        probe: The examples to measure on.
        held_out: Examples that are not trained on, if there are any.
        measuring: What is measured, and how.

    Raises:
        TypeError: neither a model nor a function.
    """

    def __init__(
        self,
        of: nn.Module | Callable[[], nn.Module],
        probe: Probe,
        held_out: Probe | None,
        measuring: Measuring,
    ) -> None:
        if not callable(of):
            raise TypeError(
                f"measured must be a torch Module, or a function that returns one, got {shown(of)}"
            )
        self._of = of
        self.probe, self.held_out, self.measuring = probe, held_out, measuring

    @property
    def model(self) -> nn.Module:
        """The model as it is to be measured now."""
        if isinstance(self._of, nn.Module):
            return self._of
        found = self._of()
        check_model(found)
        return found

    @property
    def held_out_size(self) -> int:
        """The number of held-out examples."""
        return 0 if self.held_out is None else self.held_out.n

    @functools.cached_property
    def examples(self) -> list[str]:
        """Short texts that differ where the probe's, or the held-out examples, do."""
        return [one.digest for one in (self.probe, self.held_out) if one is not None]

    def measure(self, model: nn.Module | None = None, **changes: Any) -> Measurement:
        """Measure on the probe: `model`, if there is one already; with other values for fields of `Measuring`."""
        model = self.model if model is None else model
        return self.probe.measure(model, self.measuring, together=True, **changes)

    def measure_held_out(self, model: nn.Module, ledger: Ledger) -> dict[str, tuple[float, Tensor]]:
        """Held-out information of the driving layers, and what each example contributes."""
        if self.held_out is None:
            return {}
        layers = ledger.held_out.examples or ledger.begun
        return measure_held_out(self.held_out, model, self.measuring, layers)
