"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import (
    difference,
    finals_by,
    grouped,
    mean_with_error,
    metric_of,
)


def text() -> str:
    """With and without an eye for what changes."""
    rows = read("policy_changes")
    out = []
    for (workload, change), some in grouped(rows, "workload", "change").items():
        finals = finals_by(some, lambda setting: setting["rule"])
        sees = [row for row in some if row["setting"]["rule"] == "sees"]
        again = [row["causes"].index("restart") + 1 for row in sees if "restart" in row["causes"]]
        out.append(
            [
                workload,
                change,
                len(sees),
                f"{len(again)} of {len(sees)}"
                + (f", in epoch {statistics.median(again):g}" if again else ""),
                mean_with_error(finals["sees"], metric_of(workload)),
                mean_with_error(finals["blind"], metric_of(workload)),
                difference(finals["sees"], finals["blind"], metric_of(workload)),
            ]
        )
    head = [
        "workload",
        "change, half-way",
        "seeds",
        "held again",
        "final",
        "blind to changes",
        "difference",
    ]
    text = (
        "`classes`: half of the classes alone for half of the epochs, then all; `batch`: twice the batch size; "
        "`augmentation`: shifted and mirrored images. Means with standard errors; the difference is paired by seed."
    )
    return section(
        "Our rule when something changes in mid-training",
        "`python -m studies.change_in_mid_run.run WORKLOAD`",
        f"{text}\n\n{table(head, out)}",
    )
