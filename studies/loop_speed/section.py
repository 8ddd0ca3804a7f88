"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Speed of the lab's loop over that of a bare one."""
    rows = [
        [row["workload"], row["pairs"], row["bare_epochs_a_minute"], row["lab"], row["lab_paced"]]
        for row in read("lab_loop")
    ]
    head = ["workload", "pairs", "bare loop, epochs a minute", "lab / bare", "lab with measuring / bare"]
    return section(
        "The lab's loop beside a bare loop",
        "`python -m studies.loop_speed.run digits cifar10-small`",
        "The loops take turns on one thread, and evaluation is included. Shown is the median ratio of their speeds. "
        "The machine was shared, so a ratio is good to a few per cent."
        f"\n\n{table(head, rows)}",
    )
