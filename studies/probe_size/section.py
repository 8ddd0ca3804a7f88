"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import (
    difference,
    finals_by,
    grouped,
    held_for,
    mean_with_error,
    metric_of,
)

_PROBE_SIZE = 1000  # the paper's, and the workloads'


def text() -> str:
    """Probes of other sizes."""
    rows = read("policy_probe_size")
    out = []
    for (workload,), some in grouped(rows, "workload").items():
        finals = finals_by(some, lambda setting: setting["probe_size"])
        for size in sorted(finals):
            own = [row for row in some if row["setting"]["probe_size"] == size]
            less = (
                ""
                if size == _PROBE_SIZE
                else difference(finals[size], finals[_PROBE_SIZE], metric_of(workload))
            )
            held = f"{statistics.fmean(held_for(row) for row in own):.1f}"
            out.append(
                [workload, size, len(own), mean_with_error(finals[size], metric_of(workload)), less, held]
            )
    head = ["workload", "probe, rows", "seeds", "final", f"less {_PROBE_SIZE}'s", "held"]
    return section(
        "Our rule with probes of other sizes",
        "`python -m studies.probe_size.run WORKLOAD`",
        f"The same bounds for all; differences are paired by seed, with standard errors.\n\n{table(head, out)}",
    )
