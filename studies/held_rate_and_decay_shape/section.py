"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict

from infopace.lab.workload import Metric
from studies.shared.page import read, section, table, workload_of


def text() -> str:
    """What another rate to hold, or another way down, changes."""
    groups: dict[str, dict[tuple[float, str], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in read("policy_rate_and_shape"):
        setting = row["setting"]
        if row["test"]:
            groups[setting["workload"]][setting["middle"], setting["shape"]][setting["seed"]] = row["test"][
                -1
            ]
    others = [(0.0, "linear"), (1.0, "linear"), (0.5, "1 - sqrt(t)"), (0.5, "(1 - t)^2")]
    out = []
    for name, by in groups.items():
        metric, usual = workload_of([{"workload": name}]).metric, by[0.5, "linear"]
        shown = metric.show(statistics.fmean(usual.values()))
        out.append([name, len(usual), shown, *(_less(by[other], usual, metric) for other in others)])
    head = ["workload", "seeds", "as it is", "LR_top held", "LR_max held", "1 - sqrt(t)", "(1 - t)^2"]
    text = (
        "What each changes against the rule as it is, paired by seed, with standard errors (points of accuracy, or the "
        "error's own unit, where less is better). Expected was that a faster way down helps where a network memorizes, "
        "and costs nothing elsewhere: it helps noisy-mlp and flipped, and costs the networks that memorize nothing a "
        "tenth of a point. LR_top is as much worse on digits as it is better on a deep MLP."
    )
    return section(
        "Another rate to hold, another way down",
        "`python -m studies.held_rate_and_decay_shape.run`",
        f"{text}\n\n{table(head, out)}",
    )


def _less(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    values = [metric.scale * (these[seed] - those[seed]) for seed in these if seed in those]
    if len(values) < 2:
        return ""
    digits = 2 if metric.scale == 100 else 4
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):+.{digits}f} ± {error:.{digits}f}"
