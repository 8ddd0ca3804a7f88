"""Runs paired by seed: their final values, and the difference between two settings."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from infopace.lab.tasks import Metric
from studies.shared.page import table, workload_of

Rows = list[dict[str, Any]]


def one_changed_table(rows: Rows, standard: dict[str, float]) -> str:
    """The standard constants, and each of them changed alone."""
    out = []
    for (workload, horizon), some in grouped(rows, "workload", "horizon").items():
        metric = metric_of(workload)
        finals = finals_by(some, lambda setting: tuple(setting[name] for name in standard))
        unchanged = finals[tuple(standard.values())]
        for values in sorted(finals, key=lambda values: _changed(values, standard)):
            name, value = _changed(values, standard)
            own = [row for row in some if tuple(row["setting"][name] for name in standard) == values]
            out.append(
                [
                    workload,
                    horizon,
                    f"{name} = {value:g}" if name else "standard",
                    len(finals[values]),
                    mean_with_error(finals[values], metric),
                    difference(finals[values], unchanged, metric) if name else "",
                    f"{statistics.fmean(held_for(row) for row in own):.1f}",
                    f"{statistics.fmean(row['epochs'] for row in own):.1f}",
                ]
            )
    head = [
        "workload",
        "epochs",
        "constants",
        "seeds",
        "final",
        "minus standard",
        "epochs held",
        "epochs in all",
    ]
    return table(head, out)


def _changed(values: tuple[float, ...], standard: dict[str, float]) -> tuple[str, float]:
    """The constant that differs from the standard, and its value. Nothing where none does."""
    pairs = zip(standard.items(), values, strict=True)
    return next(((name, value) for (name, usual), value in pairs if value != usual), ("", 0.0))


def grouped(rows: Rows, *names: str) -> dict[tuple[str, ...], Rows]:
    """Rows by the values of these names in their settings."""
    found: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        found[tuple(row["setting"][name] for name in names)].append(row)
    return dict(found)


def finals_by(rows: Rows, key: Callable[[dict[str, Any]], Any]) -> dict[Any, dict[int, float]]:
    """Final values by key and seed. The value of a run that diverged is nan."""
    found: dict[Any, dict[int, float]] = defaultdict(dict)
    for row in rows:
        setting = row["setting"]
        # These may end before the planned number of epochs.
        by_itself = (
            setting.get("horizon") == "free" or setting.get("rule") == "reference" or setting.get("held_out")
        )
        ended = row["epochs"] == row["planned"] or by_itself
        value = row["test"][-1] if row["test"] and ended else math.nan
        found[key(row["setting"])][row["setting"]["seed"]] = value
    return found


def held_for(row: dict[str, Any]) -> int:
    """How many epochs the first hold lasted."""
    return row["phases"].index("decay") if "decay" in row["phases"] else row["epochs"]


def held_again(row: dict[str, Any]) -> int | None:
    """The first epoch of a hold that follows a decay; None where there is none."""
    pairs = itertools.pairwise(row["phases"])
    return next((epoch for epoch, (before, now) in enumerate(pairs, 2) if before != "hold" == now), None)


def metric_of(workload: str) -> Metric:
    """The test metric of a workload."""
    return workload_of([{"workload": workload}]).metric


def mean_with_error(values: dict[int, float], metric: Metric) -> str:
    """The mean over seeds and its standard error."""
    return with_error(list(values.values()), metric.scale, "")


def difference(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    """The mean of the differences paired by seed, and its standard error."""
    return with_error([these[seed] - those[seed] for seed in these if seed in those], metric.scale, "+")


def with_error(values: list[float], scale: float, sign: str) -> str:
    """Mean and standard error, in the unit that the metric is shown in."""
    digits = 2 if scale == 100 else 3
    value = f"{scale * statistics.fmean(values):{sign}.{digits}f}"
    if len(values) == 1:
        return value
    error = scale * statistics.stdev(values) / math.sqrt(len(values))
    return f"{value} ± {error:.{digits}f}"
