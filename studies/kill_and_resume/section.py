"""The section of the results page."""

from __future__ import annotations

from studies.kill_and_resume.run import summary
from studies.shared.page import read, section


def text() -> str:
    """Endings after a kill."""
    whole, *killed = rows = read("kill_test")
    if "trial" in whole:
        commands = (f"`infopace {command}`" for command in dict.fromkeys(row["command"] for row in rows))
        text = f"{summary(rows)[0]}. Killed and run again: {', '.join(commands)}."
    else:  # rows from before several commands were killed
        same = sum(row["ending"] == whole["ending"] for row in killed)
        ended = f"{same} of {len(killed)} runs of digits, each killed before its end and resumed,"
        text = f"{ended} end with the same bits."
    return section("Kill and resume", "`python -m studies.kill_and_resume.run`", text)
