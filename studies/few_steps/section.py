"""The section of the results page."""

from __future__ import annotations

import functools
import statistics
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from studies.few_steps.run import AFTER, NAME, STEPS
from studies.shared.page import read, section, table
from studies.short_plans.run import OPTIMIZERS

LEARNED, FAR, MOST = 0.01, 0.05, 0.3
Key = tuple[str, str, int]
Tried = Mapping[int, Mapping[int, Mapping[str, Any]]]


def text() -> str:
    """How far the rate that is best after few steps falls short at the end."""
    head = ["trials", "taken", *(f"{steps} steps" for steps in STEPS)]
    lines = []
    for after in AFTER:
        for below, taken in ((0, "the best"), (2, "half a decade less"), (4, "a decade less")):
            lines.append([f"{after} steps", taken, *(_cell(steps, after, below) for steps in STEPS)])
    small = [
        [name, read_as, *(_cell(steps, 8, 2, read_as, small) for steps in STEPS)]
        for name, small in (("weights as torch makes them", False), ("small weights", True))
        for read_as in ("softened", "sharpened")
    ]
    kinds = [
        [name, f"{after} steps", taken, *(_cell(steps, after, below, optimizer=name) for steps in STEPS)]
        for name in OPTIMIZERS
        for after in (8, 16)
        for below, taken in ((0, "the best"), (2, "half a decade less"))
    ]
    blocks = [
        "By how much the test value, accuracy or R2, at the rate that was taken is below that at the best rate of the "
        f"grid: the mean, {MOST} at most, and in brackets how many of the choices are more than {FAR} below, too high "
        "and too low.",
        table(head, lines),
        table(["optimizer", "trials", "taken", *(f"{steps} steps" for steps in STEPS)], kinds),
        "Trials of 8 steps, half a decade less than the best, with scores that may be softened only, as the search "
        "reads them, or sharpened too:",
        table(["networks", "scores", *(f"{steps} steps" for steps in STEPS)], small),
    ]
    return section("The best rate after few steps", "`python -m studies.few_steps.run`", "\n\n".join(blocks))


def _cell(
    steps: int,
    after: int,
    below: int,
    read_as: str = "softened",
    small: bool | None = None,
    optimizer: str = "",
) -> str:
    short, high, low = [], 0, 0
    for key, tried in _trials().items():
        if optimizer not in ("", key[1]):
            continue
        if small is not None and small != ("small" in key[0] or "Transformer" in key[0]):
            continue
        values = _values().get((*key, steps), {})
        if not values or not any((one["softened"] or 0) > LEARNED for one in tried[AFTER[0]].values()):
            continue
        nats = {place: one[read_as] for place, one in tried[after].items() if one[read_as] is not None}
        taken = max(max(nats, key=lambda place: nats[place]) - below, min(values))
        best = max(values, key=lambda place: values[place])
        short.append(min(values[best] - values[taken], MOST))
        if short[-1] > FAR:
            high, low = high + (taken > best), low + (taken < best)
    return f"{statistics.fmean(short):.3f} ({high}, {low} of {len(short)})" if short else "not run"


@functools.cache
def _trials() -> dict[Key, Tried]:
    """By task, optimizer and seed: by the steps of a trial and by its place what it measured."""
    found: dict[Key, Any] = {}
    for row in read(NAME):
        if "trials" in row:
            tried = found.setdefault(_key(row), defaultdict(dict))
            for one in row["trials"]:
                tried[one["after"]][one["place"]] = one
    return found


@functools.cache
def _values() -> dict[tuple[Any, ...], dict[int, float]]:
    """By task, optimizer, seed and planned steps: the test value at each place."""
    found: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    for row in read(NAME):
        if "value" in row:
            found[(*_key(row), row["setting"]["steps"])][row["setting"]["place"]] = row["value"]
    return found


def _key(row: dict[str, Any]) -> Key:
    setting = row["setting"]
    return setting["task"], setting["optimizer"], setting["seed"]
