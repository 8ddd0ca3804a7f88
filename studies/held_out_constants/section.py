"""The section of the results page."""

from __future__ import annotations

from infopace.lab.config import HELD_OUT
from infopace.policies import _hold_and_decay
from studies.shared.page import read, section
from studies.shared.paired import (
    moved_alone_table,
)

_HELD_OUT_STANDARD = {
    "held_out": HELD_OUT,
    "visible": _hold_and_decay._VISIBLE,
    "fewest_held_out": _hold_and_decay._FEWEST_HELD_OUT,
}


def text() -> str:
    """Each constant of held-out rows moved alone."""
    rows = read("policy_held_out")
    text = (
        "A tenth held out, visible 1.96 standard errors, a line through three values at least; one of them moved at "
        "a time, differences paired by seed, with standard errors."
    )
    return section(
        "Held-out rows with other constants",
        "`python -m studies.held_out_constants.run WORKLOAD`",
        f"{text}\n\n{moved_alone_table(rows, _HELD_OUT_STANDARD)}",
    )
