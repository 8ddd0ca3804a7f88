"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from scipy.stats import t as student
from scipy.stats import ttest_rel

from studies.shared.page import read, section, table, workload_of

Runs = dict[int, dict[str, Any]]


def text() -> str:
    """The final accuracy after both decays, and their difference."""
    out = []
    for workload, (rate, momentum) in pairs().items():
        scale = workload_of([{"workload": workload}]).metric.scale
        seeds = sorted(rate.keys() & momentum.keys())
        ends = [[scale * runs[seed]["test"][-1] for seed in seeds] for runs in (rate, momentum)]
        apart = [after - before for before, after in zip(*ends, strict=True)]
        mean, deviation = statistics.fmean(apart), statistics.stdev(apart)
        half = float(student.ppf(0.975, len(seeds) - 1)) * deviation / len(seeds) ** 0.5
        p = float(ttest_rel(*ends).pvalue) if deviation > 0 else 1.0
        out.append(
            [
                workload,
                len(seeds),
                *(f"{statistics.fmean(one):.2f}" for one in ends),
                f"{mean:+.2f} ({mean - half:+.2f} .. {mean + half:+.2f})",
                f"{p:.2f}",
            ]
        )
    head = ["workload", "seeds", "rate falls", "momentum falls", "difference", "p, paired t-test"]
    blocks = [
        'The default rule with a plan and SGD, and the same with `decays="momentum"`: test accuracy at the end, in per '
        "cent, and the difference paired by seed with its 95 % interval. Both runs of a pair are equal to the bit "
        "until the decay begins. Expected: no difference.",
        table(head, out),
        "![Test accuracy and effective rate over the epochs, with falling rate and with falling momentum]"
        "(images/momentum-decay.png)",
    ]
    return section(
        "Momentum that falls instead of the rate",
        "`python -m studies.momentum_decay.run`",
        "\n\n".join(blocks),
    )


def pairs() -> dict[str, tuple[Runs, Runs]]:
    """By workload the runs of each kind by seed."""
    found: dict[str, tuple[Runs, Runs]] = {}
    for row in read("momentum_decay"):
        setting = row["setting"]
        runs = found.setdefault(setting["workload"], ({}, {}))
        runs[setting["decays"] == "momentum"][setting["seed"]] = row
    return {name: runs for name, runs in found.items() if len(runs[0].keys() & runs[1].keys()) > 1}
