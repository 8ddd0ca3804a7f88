"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from studies.shared.page import read, section, table
from studies.short_plans.run import NAME, OPTIMIZERS, STEPS, TASKS

_HEAD = ["", "runs", "median", "mean", "beyond .1"]
Shortfalls = list[tuple[dict[str, Any], float]]


def text() -> str:
    """The section of the results page."""
    found = shortfalls()
    groups = {
        "all": found,
        **{f"{steps} steps": [each for each in found if each[0]["steps"] == steps] for steps in STEPS},
        **{name: [each for each in found if each[0]["optimizer"] == name] for name in OPTIMIZERS},
        **{task: [each for each in found if each[0]["task"] == task] for task in TASKS},
    }
    return section(
        "Short plans",
        "`python -m studies.short_plans.run`",
        "By how much the test value of ours, accuracy or R2, is below that of the best of five or six rates with "
        "warm-up and linear decay, each the mean of four seeds. The best rate is chosen by these test values, so it "
        f"has an advantage.\n\n{table(_HEAD, [_line(name, some) for name, some in groups.items() if some])}",
    )


def shortfalls() -> Shortfalls:
    """Our runs, and by how much each is below the best rate."""
    rows = read(NAME)
    tuned: dict[tuple[Any, ...], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["rate"] is not None:
            tuned[row["task"], row["optimizer"], row["steps"]][row["rate"]].append(row["value"])
    best = {key: max(map(statistics.fmean, values.values())) for key, values in tuned.items()}
    ours = [row for row in rows if row["rate"] is None]
    return [(row, best[row["task"], row["optimizer"], row["steps"]] - row["value"]) for row in ours]


def _line(name: str, some: Shortfalls) -> list[str]:
    values = [each for _, each in some]
    return [
        name,
        str(len(values)),
        f"{statistics.median(values):+.3f}",
        f"{statistics.fmean(values):+.3f}",
        str(sum(each > 0.1 for each in values)),
    ]
