"""What the adapter reads of a Lightning Trainer."""

from __future__ import annotations

import math
from typing import Any


def steps_per_epoch(trainer: Any, epochs: int | None) -> int | None:
    """Optimizer steps in an epoch, of so many; None: not known."""
    steps = trainer.estimated_stepping_batches
    return math.ceil(steps / epochs) if epochs and 0 < steps < math.inf else None


def beside_weights(trainer: Any) -> list[Any]:
    """What a trial that diverged would spoil for the rest of the run: the gradient scaler, or None, and averages."""
    # The adapter says what is missing where Lightning is.
    from lightning.pytorch.callbacks import WeightAveraging
    from lightning.pytorch.plugins import MixedPrecision

    plugin = trainer.precision_plugin
    scaler = plugin.scaler if isinstance(plugin, MixedPrecision) else None
    return [scaler, *(one._average_model for one in trainer.callbacks if isinstance(one, WeightAveraging))]
