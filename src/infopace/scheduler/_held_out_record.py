"""What was measured of held-out examples, for as long as a policy reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infopace.model.layers import weight_layers, with_neighbours
from infopace.policies import HeldOut
from infopace.probe import Measuring, Probe


class HeldOutRecord:
    """Held-out information per driving layer, after 0, 1, 2, .. units of time. Methods that change it return another.

    Attributes:
        history: Information in nats.
        errors: Its standard errors, in nats: of each, the standard deviation over the n examples by the root of n.
        examples: What each example contributed to that, as far as the policy still reads it.
    """

    def __init__(
        self,
        history: Mapping[str, list[float]] | None = None,
        examples: Mapping[str, HeldOut] | None = None,
        errors: Mapping[str, list[float]] | None = None,
    ) -> None:
        self.history, self.examples, self.errors = (
            dict(history or {}),
            dict(examples or {}),
            dict(errors or {}),
        )

    def grown(self, found: Mapping[str, tuple[float, list[float]]]) -> HeldOutRecord:
        """With one unit of time more: by layer the information, and what each example contributes."""
        history, examples, errors = dict(self.history), dict(self.examples), dict(self.errors)
        for layer, (nats, values) in found.items():
            history[layer] = [*history.get(layer, ()), nats]
            errors[layer] = [*errors.get(layer, ()), _error(values)]
            examples[layer] = examples[layer].grown(values) if layer in examples else HeldOut([values])
        return HeldOutRecord(history, examples, errors)

    def trimmed(self, over: Iterable[str]) -> HeldOutRecord:
        """Without the values that no decision reads any more; `over`: the layers of which none is read."""
        over = set(over)
        return HeldOutRecord(
            self.history,
            {layer: found.trimmed(wholly=layer in over) for layer, found in self.examples.items()},
            self.errors,
        )

    def state(self) -> dict[str, Any]:
        """The examples' numbers as tensors."""
        return {
            "held_out_history": {layer: list(values) for layer, values in self.history.items()},
            "held_out_errors": {layer: list(values) for layer, values in self.errors.items()},
            "held_out_examples": {
                layer: {name: torch.from_numpy(part.copy()) for name, part in found.parts().items()}
                for layer, found in self.examples.items()
            },
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> HeldOutRecord:
        """From what `state` returned.

        Raises:
            ValueError: what is no such state, or not whole.
        """
        examples: dict[str, HeldOut] = {}
        for layer, parts in state["held_out_examples"].items():
            wrong = [name for name, part in parts.items() if not isinstance(part, Tensor)]
            if wrong:
                raise ValueError(
                    f"scheduler state must hold held-out examples as tensors, got others in {wrong}"
                )
            examples[layer] = HeldOut.of_parts({name: part.cpu().numpy() for name, part in parts.items()})
        history, errors = (
            {layer: list(values) for layer, values in state[name].items()}
            for name in ("held_out_history", "held_out_errors")
        )
        measured = {layer: len(values) for layer, values in history.items()}
        kept = {layer: len(found) for layer, found in examples.items()}
        if measured != kept:
            raise ValueError(
                f"scheduler state must hold the held-out examples of all measurements, {measured}, got {kept}"
            )
        if measured != (found := {layer: len(values) for layer, values in errors.items()}):
            raise ValueError(f"scheduler state must hold as many held-out errors, {measured}, got {found}")
        return cls(history, examples, errors)


def _error(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def measure_held_out(
    probe: Probe, model: nn.Module, measuring: Measuring, layers: Iterable[str]
) -> dict[str, tuple[float, Tensor]]:
    """By layer the information about held-out examples, and what each contributes, (n,)."""
    measurement = probe.measure(model, measuring, together=True)
    found = with_neighbours(measurement.layers, measurement.left_out, list(weight_layers(model)))
    measured = {}
    for layer in layers:
        estimate = found[layer].estimate
        assert estimate.pointwise is not None, "what drives is a mean over examples"
        measured[layer] = (estimate.nats, estimate.pointwise.double().cpu())
    return measured
