"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict

from infopace.lab.tasks import Metric
from studies.shared.page import read, section, table, workload_of


def text() -> str:
    """What another held learning rate, or another shape of decay, changes."""
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
        out.append([name, len(usual), shown, *(_difference(by[other], usual, metric) for other in others)])
    head = ["workload", "seeds", "standard", "lr_top held", "lr_max held", "1 - sqrt(t)", "(1 - t)^2"]
    text = (
        "The default rule, and what each change adds to it: paired by seed, with standard errors, in points of "
        "accuracy or in the error's own unit, where less is better. t is the share of the decay that is over. "
        "Expected: a faster decay helps where a network overfits and costs nothing elsewhere. It helps noisy-mlp "
        "and flipped. It costs the networks that do not overfit a tenth of a point. Holding lr_top is as much worse "
        "on digits as it is better on a deep MLP."
    )
    return section(
        "Other held learning rates and other shapes of decay",
        "`python -m studies.held_rate_and_decay_shape.run`",
        f"{text}\n\n{table(head, out)}",
    )


def _difference(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    values = [metric.scale * (these[seed] - those[seed]) for seed in these if seed in those]
    if len(values) < 2:
        return ""
    digits = 2 if metric.scale == 100 else 4
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):+.{digits}f} ± {error:.{digits}f}"
