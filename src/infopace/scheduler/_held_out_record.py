"""What was measured of held-out examples, for as long as a policy reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from infopace.model.layers import weight_layers, with_neighbours
from infopace.policies import HeldOut
from infopace.probe import Measuring, Probe


class HeldOutRecord:
    """Held-out information per driving layer, after 0, 1, 2, .. units of time. Methods that change it return another.

    Attributes:
        history: Information in nats.
        examples: What each example contributed to that, as far as the policy still reads it.
    """

    def __init__(
        self, history: Mapping[str, list[float]] | None = None, examples: Mapping[str, HeldOut] | None = None
    ) -> None:
        self.history, self.examples = dict(history or {}), dict(examples or {})

    def grown(self, found: Mapping[str, tuple[float, list[float]]]) -> HeldOutRecord:
        """With one unit of time more: by layer the information, and what each example contributes."""
        history, examples = dict(self.history), dict(self.examples)
        for layer, (nats, values) in found.items():
            history[layer] = [*history.get(layer, ()), nats]
            examples[layer] = examples[layer].grown(values) if layer in examples else HeldOut([values])
        return HeldOutRecord(history, examples)

    def trimmed(self, over: Iterable[str]) -> HeldOutRecord:
        """Without the values that no decision reads any more; `over`: the layers of which none is read."""
        over = set(over)
        return HeldOutRecord(
            self.history,
            {layer: found.trimmed(wholly=layer in over) for layer, found in self.examples.items()},
        )

    def state(self) -> dict[str, Any]:
        """The examples' numbers as tensors."""
        return {
            "held_out_history": {layer: list(values) for layer, values in self.history.items()},
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
        history = {layer: list(values) for layer, values in state["held_out_history"].items()}
        measured = {layer: len(values) for layer, values in history.items()}
        kept = {layer: len(found) for layer, found in examples.items()}
        if measured != kept:
            raise ValueError(
                f"scheduler state must hold the held-out examples of all measurements, {measured}, got {kept}"
            )
        return cls(history, examples)


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
