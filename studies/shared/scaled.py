"""Differences to a default in units of its seed standard deviation, for tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from infopace.lab.tasks import Metric

Rows = list[dict[str, Any]]
Finals = dict[int, float]


def finals(rows: Rows) -> Finals:
    """The final test value by seed; nan of a run that failed."""
    return {row["seed"]: math.nan if row["final"] is None else row["final"] for row in rows}


def gains(these: Mapping[int, float], default: Mapping[int, float], metric: Metric) -> list[float]:
    """By how much each seed is better than by default; negative: worse. A run that failed is infinitely worse."""
    sign = 1.0 if metric.higher_is_better else -1.0
    found = [sign * (these[seed] - default[seed]) for seed in these if seed in default]
    return [-math.inf if math.isnan(gain) else gain for gain in found]


def shown(value: float, metric: Metric) -> str:
    """A value of the metric, without the unit of a quantity."""
    return metric.show(value) if metric.scale == 100 else metric.show(value).partition(" ")[0]


def shown_gain(gain: float, metric: Metric) -> str:
    """A gain in the unit of the metric."""
    return f"{gain * metric.scale:+.{2 if metric.scale == 100 else 4}f}"


def spread_of(default: Mapping[int, float]) -> float:
    """The standard deviation over seeds; nan for fewer than two."""
    return statistics.stdev(default.values()) if len(default) > 1 else math.nan
