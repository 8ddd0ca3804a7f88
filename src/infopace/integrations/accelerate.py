"""Accelerate: `pace` builds the scheduler for what `Accelerator.prepare` has returned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from infopace import MutualInformationLR, Probe
from infopace.integrations._shared import missing, planned

try:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
except ImportError as error:
    raise missing("accelerate", error) from error


def pace(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    loader: DataLoader[Any],
    probe: Probe,
    *,
    epochs: int | None = None,
    **options: Any,
) -> MutualInformationLR:
    """The scheduler of a loop under Accelerate; do not prepare it.

        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        scheduler = pace(accelerator, model, optimizer, loader, probe, epochs=20)

    The loop calls `observe` and `step` at the end of each epoch, on all processes, or nothing where `every` is given.
    `accelerator.save_state` and `load_state` keep the scheduler.

    Args:
        accelerator: The accelerator. Its gradient scaler, if it has one, is rolled back with the network.
        model: The prepared model.
        optimizer: The prepared optimizer, or several in a list.
        loader: The prepared loader of training batches. Of an iterable data set without a length the plan is known
            after the first epoch.
        probe: The examples to measure on.
        epochs: The planned number of epochs; None: none are planned.
        **options: What `MutualInformationLR` takes. Without a policy it is `HoldAndDecay` for the plan.
    """
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else optimizer
    # Accelerate's wrapper has no hooks, and one around the scheduler has no `observe`.
    raw = [one.optimizer if isinstance(one, AcceleratedOptimizer) else one for one in optimizers]
    options = planned(options, epochs, _steps(accelerator, loader, epochs), [accelerator.scaler])
    scheduler = MutualInformationLR(raw if len(raw) > 1 else raw[0], model, probe, **options)
    accelerator.register_for_checkpointing(scheduler)
    return scheduler


def _steps(accelerator: Accelerator, loader: DataLoader[Any], epochs: int | None) -> int | None:
    """The planned number of optimizer steps; None: it is not known."""
    try:
        batches = len(loader)
    except TypeError:  # of an iterable data set
        return None
    return None if epochs is None else epochs * math.ceil(batches / accelerator.gradient_accumulation_steps)
