"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import difference, finals_by, grouped, held_for, mean_with_error, metric_of

_STANDARD = 1000  # the paper's, and the workloads'


def text() -> str:
    """Probes of other sizes."""
    rows = read("policy_probe_size")
    out = []
    for (workload,), some in grouped(rows, "workload").items():
        metric = metric_of(workload)
        finals = finals_by(some, lambda setting: setting["probe_size"])
        for size in sorted(finals):
            own = [row for row in some if row["setting"]["probe_size"] == size]
            less = "" if size == _STANDARD else difference(finals[size], finals[_STANDARD], metric)
            held = f"{statistics.fmean(held_for(row) for row in own):.1f}"
            out.append([workload, size, len(own), mean_with_error(finals[size], metric), less, held])
    head = ["workload", "examples of the probe", "seeds", "final", f"minus {_STANDARD}'s", "epochs held"]
    return section(
        "The default rule with probes of other sizes",
        "`python -m studies.probe_size.run WORKLOAD`",
        "All have the same bounds. Differences are paired by seed, with standard errors.\n\n"
        + table(head, out),
    )
