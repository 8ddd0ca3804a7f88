"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section
from studies.shared.paired import one_changed_table

STANDARD = {"z": 1.96, "window": 0.5, "longest": 0.5, "middle": 0.5}


def text() -> str:
    """Each constant of the rule changed alone."""
    text = (
        "The standard is z = 1.96, window 1/2, longest 1/2 and middle 1/2. One constant is changed at a time. "
        "Differences are paired by seed, with standard errors."
    )
    return section(
        "The default rule with other constants",
        "`python -m studies.rule_constants.run WORKLOAD`",
        f"{text}\n\n{one_changed_table(read('policy_constants'), STANDARD)}",
    )
