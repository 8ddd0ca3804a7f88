"""What a scheduler keeps of the held-out examples: each layer's values, and of the examples what is still read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from infopace.policies import HeldOut
from infopace.probe import Measuring, Probe


class HeldOutRecord:
    """Per driving layer, after 0, 1, 2, .. epochs. It does not change: `measured` and `trimmed` give another.

    Attributes:
        history: Information in nats.
        examples: What each example contributed to that.
    """

    def __init__(
        self, history: Mapping[str, list[float]] | None = None, examples: Mapping[str, HeldOut] | None = None
    ) -> None:
        self.history, self.examples = dict(history or {}), dict(examples or {})

    def measured(
        self, probe: Probe, model: nn.Module, measuring: Measuring, layers: Iterable[str]
    ) -> HeldOutRecord:
        """One measurement more, of the layers that there are, or of these where it is the first."""
        found = probe.measure(model, measuring).layers
        history, examples = dict(self.history), dict(self.examples)
        for layer in self.examples or layers:
            estimate = found[layer].estimate
            assert estimate.pointwise is not None, "a probe measures by neighbours, a mean over examples"
            values = estimate.pointwise.tolist()
            history[layer] = [*history.get(layer, ()), estimate.nats]
            examples[layer] = examples[layer].grown(values) if layer in examples else HeldOut([values])
        return HeldOutRecord(history, examples)

    def trimmed(self, over: Iterable[str]) -> HeldOutRecord:
        """Without the values that are read no more; `over`: the layers of which none is."""
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
        """Back from what `state` gave.

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
