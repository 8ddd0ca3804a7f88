"""Runs paired by seed: their final values, and by how much two settings differ."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from infopace.lab.workload import Metric
from studies.shared.page import table, workload_of

Rows = list[dict[str, Any]]


def moved_alone_table(rows: Rows, usual: dict[str, float]) -> str:
    out = []
    for (workload, horizon), some in grouped(rows, "workload", "horizon").items():
        metric = metric_of(workload)
        finals = finals_by(some, lambda setting: tuple(setting[name] for name in usual))
        standard = finals[tuple(usual.values())]
        for values in sorted(finals, key=lambda values: _moved(values, usual)):
            name, value = _moved(values, usual)
            own = [row for row in some if tuple(row["setting"][name] for name in usual) == values]
            out.append(
                [
                    workload,
                    horizon,
                    f"{name} = {value:g}" if name else "as they are",
                    len(finals[values]),
                    mean_with_error(finals[values], metric),
                    difference(finals[values], standard, metric) if name else "",
                    f"{statistics.fmean(held_for(row) for row in own):.1f}",
                    f"{statistics.fmean(row['epochs'] for row in own):.1f}",
                ]
            )
    head = ["workload", "epochs", "constants", "seeds", "final", "less standard's", "held", "epochs in all"]
    return table(head, out)


def _moved(values: tuple[float, ...], usual: dict[str, float]) -> tuple[str, float]:
    """The constant that differs from the usual, and its value; nothing where none does."""
    pairs = zip(usual.items(), values, strict=True)
    return next(((name, value) for (name, standard), value in pairs if value != standard), ("", 0.0))


def grouped(rows: Rows, *names: str) -> dict[tuple[str, ...], Rows]:
    found: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        found[tuple(row["setting"][name] for name in names)].append(row)
    return dict(found)


def finals_by(rows: Rows, key: Callable[[dict[str, Any]], Any]) -> dict[Any, dict[int, float]]:
    """Final values by key and seed; of a run that diverged, nan."""
    found: dict[Any, dict[int, float]] = defaultdict(dict)
    for row in rows:
        setting = row["setting"]
        by_itself = (
            setting.get("horizon") == "free" or setting.get("rule") == "reference" or setting.get("held_out")
        )
        ended = row["epochs"] == row["planned"] or by_itself
        value = row["test"][-1] if row["test"] and ended else math.nan
        found[key(row["setting"])][row["setting"]["seed"]] = value
    return found


def held_for(row: dict[str, Any]) -> int:
    return row["causes"].index("anneal") if "anneal" in row["causes"] else row["epochs"]


def metric_of(workload: str) -> Metric:
    return workload_of([{"workload": workload}]).metric


def mean_with_error(values: dict[int, float], metric: Metric) -> str:
    return with_error(list(values.values()), metric.scale, "")


def difference(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    return with_error([these[seed] - those[seed] for seed in these if seed in those], metric.scale, "+")


def with_error(values: list[float], scale: float, sign: str) -> str:
    digits = 2 if scale == 100 else 3
    value = f"{scale * statistics.fmean(values):{sign}.{digits}f}"
    if len(values) == 1:
        return value
    error = scale * statistics.stdev(values) / math.sqrt(len(values))
    return f"{value} ± {error:.{digits}f}"
