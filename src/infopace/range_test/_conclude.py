"""Trials and the settings they ran under -> the result. Needs no model: this is also how trial files are merged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import stdev
from typing import Any

from infopace.policies import Bounds
from infopace.range_test._algorithm2 import paper_bounds
from infopace.range_test._methods import PRECISION
from infopace.range_test._race_bounds import Clock, mean_bounds, trial_bounds
from infopace.range_test._records import Trial
from infopace.range_test._refusal import RangeTestError
from infopace.range_test._result import RangeTest
from infopace.range_test._values import ATTRIBUTES

# What a result is made of besides the trials, and its kind.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "method": dict,
    "attribute": str,
    "layers": list,
    "planned_steps": int,
    "horizon": int,
    "progress_steps": int,
    "most_trials": int,
    "momentum": (int, float),
    "nesterov": bool,
}
_OF_METHOD: dict[str, dict[str, type | tuple[type, ...]]] = {
    "race": {"trials": int, "share": (int, float)},
    "algorithm 2": {"trials": int, "c1": (int, float), "c2": (int, float)},
}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ValueError where settings that were read lack something, or hold another thing than they must."""
    _check_kinds(settings, _KINDS)
    method = settings["method"]
    own = _OF_METHOD.get(method["name"]) if isinstance(method.get("name"), str) else None
    if own is None:
        raise ValueError(
            f"method must be one of {', '.join(map(repr, _OF_METHOD))}, got {method.get('name')!r}"
        )
    _check_kinds(method, own)
    if settings["attribute"] not in ATTRIBUTES:
        raise ValueError(
            f"attribute must be one of {', '.join(map(repr, ATTRIBUTES))}, got {settings['attribute']!r}"
        )
    if method["trials"] < 1:
        raise ValueError(f"trials must be at least 1, got {method['trials']}")
    if not all(isinstance(layer, str) for layer in settings["layers"]):
        raise ValueError(f"layers must be names, got {settings['layers']}")


def _check_kinds(settings: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, kind in kinds.items():
        value = settings.get(name)
        finite = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool) or not finite:
            raise ValueError(f"{name} is {str(value)[:60]!r}")


def conclude(settings: Mapping[str, Any], trials: Mapping[int, Trial]) -> RangeTest:
    """The result of all trials of a test.

    Raises:
        RangeTestError: the trials give no answer; see the rules.
    """
    count, layers = trials_needed(settings, trials), settings["layers"]
    shared = [trials[number] for number in range(count)]
    if settings["method"]["name"] == "race":
        bounds, alone = race_bounds(settings, shared)
        layer_bounds = {
            layer: layer_bounds_of(
                settings, [trials[count * (1 + i) + t] for t in range(count)], bounds, layer
            )
            for i, layer in enumerate(layers)
        }
        method = "race"
    else:
        bounds, alone, layer_bounds = _paper(settings, shared, layers)
        method = "algorithm 2"
    of_layers = len(layers) if method == "race" else 0
    everything = [trials[number] for number in range(count * (1 + of_layers))]
    steps, planned = sum(trial.steps for trial in everything), settings["planned_steps"]
    of_shared = sum(trial.steps for trial in shared)
    notes = []
    if method == "race" and of_shared > 1.5 * settings["method"]["share"] * planned:
        notes.append(
            f"the training is short, {planned:,} steps: the test takes {settings['horizon']} steps a candidate all the "
            f"same, {of_shared:,} in all"
        )
    if steps > of_shared:
        notes.append(
            f"{steps - of_shared:,} of the {steps:,} steps are for the rates of {len(layers)} layers alone"
        )
    return RangeTest(
        bounds,
        layer_bounds,
        settings["attribute"],
        method,
        tuple(everything),
        alone,
        steps,
        planned,
        sum(trial.seconds for trial in everything),
        tuple(notes),
    )


def trials_needed(settings: Mapping[str, Any], trials: Mapping[int, Trial]) -> int:
    """How many trials of the shared rate the result takes, as far as those that are finished can say.

    The least number n from the method's on whose trials 0..n-1 make the means precise enough.
    """
    count = settings["method"]["trials"]
    while count < settings.get("most_trials", count):
        done = [trials[number] for number in range(count) if number in trials]
        if len(done) < count or _precise(settings, done):
            break
        count += 1
    return count


def _precise(settings: Mapping[str, Any], trials: Sequence[Trial]) -> bool:
    """Whether lr_top and lr_max are known well enough; where a trial gives no answer, more of them are no help."""
    try:
        alone = _alone(settings, trials)
    except RangeTestError:
        return True
    logs = ([math.log10(b.lr_top) for b in alone], [math.log10(b.lr_max) for b in alone])
    # The trimmed mean is of two trials less.
    return all(stdev(values) <= PRECISION * math.sqrt(len(values) - 2) for values in logs)


def race_bounds(
    settings: Mapping[str, Any], trials: Sequence[Trial], *, one_layer: bool = False
) -> tuple[Bounds, tuple[Bounds, ...]]:
    """The mean of the trials' bounds, and these."""
    alone = _alone(settings, trials, one_layer=one_layer)
    return mean_bounds(alone), tuple(alone)


def _alone(settings: Mapping[str, Any], trials: Sequence[Trial], *, one_layer: bool = False) -> list[Bounds]:
    clock = Clock(settings["momentum"], settings["nesterov"])
    steps, attribute = settings["progress_steps"], settings["attribute"]
    return [trial_bounds(trial, attribute, steps, clock, one_layer=one_layer) for trial in trials]


def layer_bounds_of(
    settings: Mapping[str, Any], trials: Sequence[Trial], shared: Bounds, layer: str
) -> Bounds:
    """Bounds of one layer, whose rate alone was raced from the shared LR_top upwards while the others kept it.

    The shared LR_top is what the most delicate layer bears: others may bear more, and are given it where it is
    visibly better.

    How slow is too slow is no matter of one layer (the others go on learning): its LR_min is the same share of its
    LR_top as that of the shared rate. *Reading*: the paper names layer-wise bounds as future work.
    """
    try:
        own, _ = race_bounds(settings, trials, one_layer=True)
    except RangeTestError as error:
        raise RangeTestError(error.kind, f"layer {layer!r}: {error}") from error
    return Bounds(own.lr_top * shared.lr_min / shared.lr_top, own.lr_max, own.lr_top, own.epsilon)


def _paper(
    settings: Mapping[str, Any], trials: Sequence[Trial], layers: Sequence[str]
) -> tuple[Bounds, tuple[Bounds | None, ...], dict[str, Bounds]]:
    method, attribute = settings["method"], settings["attribute"]
    bounds = paper_bounds(trials, attribute, method["c1"], method["c2"])
    alone: list[Bounds | None] = []
    for trial in trials:
        try:
            alone.append(paper_bounds([trial], attribute, method["c1"], method["c2"]))
        except RangeTestError:
            alone.append(None)
    # A layer's own bounds by its own information, in the same trials.
    own = {layer: paper_bounds(trials, "information", method["c1"], method["c2"], layer) for layer in layers}
    return bounds, tuple(alone), own
