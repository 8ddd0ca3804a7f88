"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import difference, finals_by, grouped, held_again, mean_with_error, metric_of


def text() -> str:
    """The rule, and the same rule blind to changes."""
    rows = read("policy_changes")
    out = []
    for (workload, change), some in grouped(rows, "workload", "change").items():
        finals = finals_by(some, lambda setting: setting["rule"])
        sees = [row for row in some if row["setting"]["rule"] == "sees"]
        again = [epoch for row in sees if (epoch := held_again(row)) is not None]
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
    head = ["workload", "change", "seeds", "held again", "final", "final, blind to changes", "difference"]
    text = (
        "Each change comes after half of the epochs. `classes`: half of the classes alone, then all. `batch`: twice "
        "the batch size. `augmentation`: shifted and mirrored images. Means with standard errors; the difference is "
        "paired by seed."
    )
    return section(
        "The default rule when something changes half-way",
        "`python -m studies.change_in_mid_run.run WORKLOAD`",
        f"{text}\n\n{table(head, out)}",
    )
