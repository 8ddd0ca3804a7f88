"""The section of the results page."""

from __future__ import annotations

import math
import statistics
from typing import Any

from scipy.stats import spearmanr

from studies.shared.page import read, section, table

SIGNALS = ("veca", "veca_normalised", "vovu", "mean_variance", "epoch")
FEWEST = 4  # points after the minimum of the test loss
Points = list[dict[str, Any]]


def text() -> str:
    """The rank correlations with the test loss, over the whole run and after its minimum."""
    runs = constant_runs()
    out = [
        [task, labels, f"{decay:g}", len(some), _where(some), *_correlations(some)]
        for (task, labels, decay), some in runs.items()
    ]
    head = [
        "task",
        "labels",
        "weight decay",
        "seeds",
        "lowest test loss at",
        *(s.replace("_", " ") for s in SIGNALS),
    ]
    return section(
        "VECA and the test loss",
        "`python -m studies.veca.run`",
        "Spearman's correlation of each number with the test loss over the epochs of a run: over the whole run, then "
        f"after the epoch with the lowest test loss, where {FEWEST} measurements or more are left, which some seeds "
        "lack. Means over seeds; in brackets the lowest and the highest after the minimum. The mean variance of the "
        "units and the number of the epoch are the controls. Wrong: 30 % of the training labels. All are of the last "
        f"hidden layer after its ReLU, on 500 training examples.\n\n{table(head, out)}",
    )


def constant_runs() -> dict[tuple[str, str, float], dict[int, Points]]:
    """The points of runs at a constant rate by seed, for each task, kind of labels and weight decay."""
    found: dict[tuple[str, str, float], dict[int, Points]] = {}
    for row in read("veca"):
        if row["method"] == "constant":
            found.setdefault((row["task"], row["labels"], row["decay"]), {})[row["seed"]] = row["points"]
    return found


def _where(runs: dict[int, Points]) -> str:
    at = [points[_lowest(points)]["epoch"] for points in runs.values()]
    lasting = sum(len(points) - _lowest(points) >= FEWEST for points in runs.values())
    return f"{statistics.fmean(at):.0f} of {next(iter(runs.values()))[-1]['epoch']}; {lasting} seeds go on"


def _correlations(runs: dict[int, Points]) -> list[str]:
    cells = []
    for signal in SIGNALS:
        whole, after = [], []
        for points in runs.values():
            lowest = _lowest(points)
            whole.append(_spearman(points, signal))
            if len(points) - lowest >= FEWEST:
                after.append(_spearman(points[lowest:], signal))
        ends = f" ({min(after):.2f} to {max(after):.2f})" if after else ""
        cells.append(
            f"{statistics.fmean(whole):.2f}; {f'{statistics.fmean(after):.2f}' if after else 'no'}{ends}"
        )
    return cells


def _lowest(points: Points) -> int:
    return min(range(len(points)), key=lambda place: points[place]["test_loss"])


def _spearman(points: Points, signal: str) -> float:
    found: Any = spearmanr([point[signal] for point in points], [point["test_loss"] for point in points])
    value = float(found.statistic)
    return 0.0 if math.isnan(value) else value
