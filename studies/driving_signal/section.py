"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table
from studies.shared.paired import difference, finals_by, grouped, held_for, mean_with_error, metric_of


def text() -> str:
    """Other signals than information."""
    rows = read("policy_ablation")
    out = []
    for (workload, horizon), some in grouped(rows, "workload", "horizon").items():
        finals = finals_by(some, lambda setting: setting["signal"])
        for signal, values in finals.items():
            own = [row for row in some if row["setting"]["signal"] == signal]
            holds = [held_for(row) for row in own]
            out.append(
                [
                    workload,
                    horizon,
                    signal,
                    len(values),
                    mean_with_error(values, metric_of(workload)),
                    ""
                    if signal == "information"
                    else difference(values, finals["information"], metric_of(workload)),
                    f"{statistics.fmean(holds):.1f}",
                    f"{statistics.fmean(row['epochs'] for row in own):.1f}",
                ]
            )
    head = [
        "workload",
        "epochs",
        "driven by",
        "seeds",
        "final",
        "minus information's",
        "epochs held",
        "epochs in all",
    ]
    return section(
        "The default rule driven by other signals",
        "`python -m studies.driving_signal.run WORKLOAD`",
        "Validation signals are measured on a tenth of the training set, which is held out throughout.\n\n"
        f"{table(head, out)}",
    )
