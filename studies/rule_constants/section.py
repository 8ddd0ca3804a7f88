"""The section of the results page."""

from __future__ import annotations

from infopace.policies import _hold_and_decay
from studies.shared.page import read, section
from studies.shared.paired import (
    moved_alone_table,
)

_STANDARD = {
    name: getattr(_hold_and_decay, f"_{name.upper()}") for name in ("visible", "window", "longest", "middle")
}


def text() -> str:
    """Each constant of the rule moved alone."""
    rows = read("policy_constants")
    return section(
        "Our rule with other constants",
        "`python -m studies.rule_constants.run WORKLOAD`",
        "Visible 1.96, window 1/2, longest 1/2 and middle 1/2, one of them moved at a time; differences are paired by "
        f"seed, with standard errors.\n\n{moved_alone_table(rows, _STANDARD)}",
    )
