"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import finals_by, grouped


def text() -> str:
    """A rule that was dropped."""
    rows = read("policy_reference_ends")
    out = []
    for (workload,), some in grouped(rows, "workload").items():
        finals = finals_by(some, lambda setting: setting["rule"])
        for rule, values in finals.items():
            own = [row for row in some if row["setting"]["rule"] == rule]
            epochs = f"{statistics.fmean(row['epochs'] for row in own):.1f}"
            learned = f"{statistics.fmean(max(row['values']) for row in own):.2f}"
            out.append(
                [workload, rule, len(values), f"{statistics.median(values.values()):.3f}", epochs, learned]
            )
    head = ["workload", "the hold ends", "seeds", "final", "epochs in all", "most information, nats"]
    return section(
        "Dropped: the hold ends where information exceeds the reference",
        "`python -m studies.reference_ends_hold.run`",
        f"The mean absolute error, as the median of the runs.\n\n{table(head, out)}",
    )
