"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section


def text() -> str:
    """Endings after a kill."""
    first, *rows = read("kill_test")
    same = sum(row["ending"] == first["ending"] for row in rows)
    text = f"{same} of {len(rows)} runs of digits, each killed before its end and resumed, end with the same bits."
    return section("Kill and resume", "`python -m studies.kill_and_resume.run`", text)
