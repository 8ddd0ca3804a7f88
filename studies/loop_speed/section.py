"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Speed of the lab's loop over that of a bare one."""
    rows = [
        [row["workload"], row["pairs"], row["bare_epochs_a_minute"], row["lab"], row["lab_paced"]]
        for row in read("lab_loop")
    ]
    head = ["workload", "pairs", "bare loop, epochs a minute", "lab / bare", "lab, paced / bare"]
    return section(
        "The lab's loop beside a bare one",
        "`python -m studies.loop_speed.run digits cifar10-small`",
        "Median ratio of speeds over pairs that take turns on one thread, evaluation included; paced: with the "
        "measurement of every epoch. Few pairs on a shared machine: a ratio is good to some per cent."
        f"\n\n{table(head, rows)}",
    )
