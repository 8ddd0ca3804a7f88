"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """What measuring costs."""
    rows = [
        [row["layers"], f"{100 * row['share']:.2f} %", f"{100 * row['bar']:g} %"]
        for row in read("measuring_share")
    ]
    return section(
        "Share of an epoch of mnist-lenet spent on measuring",
        "`python -m studies.measuring_cost.run`",
        table(["measured", "share", "bar"], rows),
    )
