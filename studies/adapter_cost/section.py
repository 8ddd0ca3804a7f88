"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table


def text() -> str:
    """What each adapter adds to an epoch, and what of that is measuring."""
    rows = []
    for row in read("adapter_cost"):
        over = [100 * value for value in row["overhead"]]
        measuring = 100 * statistics.median(row["measuring"])
        rows.append(
            [
                row["framework"],
                row["pairs"],
                round(row["seconds"], 1),
                f"{statistics.median(over):.1f} ({min(over):.1f} to {max(over):.1f})",
                f"{measuring:.1f}",
            ]
        )
    head = ["framework", "pairs", "quarter of an epoch, s", "longer, % (least to most)", "a measurement, %"]
    return section(
        "What each adapter costs",
        "`python -m studies.adapter_cost.run --pairs 3`",
        "A quarter of an epoch of mnist-lenet with the adapter and one without take turns. Shown is the median by which it "
        "is longer, the measurement left out, and what a measurement of 1,000 examples takes of a whole epoch. Seconds "
        f"are of processor time on one thread of a shared machine.\n\n{table(head, rows)}",
    )
