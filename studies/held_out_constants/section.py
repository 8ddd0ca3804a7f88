"""The section of the results page."""

from __future__ import annotations

from infopace.lab.config import HELD_OUT
from studies.shared.page import read, section
from studies.shared.paired import one_changed_table

STANDARD = {"held_out": HELD_OUT, "z": 1.96, "fewest_held_out": 3}


def text() -> str:
    """Each constant of held-out examples changed alone."""
    text = (
        "The standard holds out a tenth of the training examples. A rise is significant where it exceeds z = 1.96 "
        "standard errors, of a line through at least three values. One constant is changed at a time. Differences are "
        "paired by seed, with standard errors."
    )
    return section(
        "Held-out examples with other constants",
        "`python -m studies.held_out_constants.run WORKLOAD`",
        f"{text}\n\n{one_changed_table(read('policy_held_out'), STANDARD)}",
    )
