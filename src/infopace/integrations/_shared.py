"""What the adapters have in common."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from infopace import HoldAndDecay, MutualInformationLR


def readings(scheduler: MutualInformationLR) -> dict[str, float]:
    """What a logger or a progress bar shows of a run, now.

    Returns:
        "information": what the outputs carried about the targets when they were last measured, in nats.
        "learning_rate": the largest of the parameter groups.
        "held_out_information": information about held-out examples, if any; nan where they are not measured any more.
    """
    measurement = scheduler.measurement
    nats = scheduler.history["output"][-1] if measurement is None else measurement.output.estimate.nats
    found = {"information": nats, "learning_rate": max(map(float, scheduler.get_last_lr()))}
    held_out = scheduler.held_out_history.get("output")
    if held_out:
        measured = len(held_out) == len(scheduler.history["output"])
        found["held_out_information"] = held_out[-1] if measured else math.nan
    return found


def planned(
    options: Mapping[str, Any], epochs: int | None, steps: int | None, also: Iterable[Any]
) -> dict[str, Any]:
    """Options for a scheduler, with a framework's plan of so many epochs or optimizer steps; None: not known.

    What the user has given stays. With `every` the plan is one of steps. `also` is what the framework keeps beside the
    network; None counts as nothing.
    """
    found = {**options, "also": [*options.get("also", ()), *(one for one in also if one is not None)]}
    if found.get("every") is not None:
        if epochs and steps is None and "policy" not in found:
            warnings.warn(
                f"with every=.. the plan is one of steps, and how many {epochs} epochs have is not known; give "
                "policy=HoldAndDecay(steps=..), or the rule finds the end itself",
                stacklevel=3,
            )
        return {"policy": HoldAndDecay(steps=steps), **found}
    if epochs and steps:
        found.setdefault("steps_per_epoch", math.ceil(steps / epochs))
    return {"policy": HoldAndDecay(epochs), **found}


def missing(extra: str, error: ImportError) -> ImportError:
    """The error for an adapter without its framework, in one line; `error` names the package that is missing."""
    package = (error.name or extra).partition(".")[0]
    return ImportError(f'infopace.integrations.{extra} needs {package}: pip install "infopace[{extra}]"')
