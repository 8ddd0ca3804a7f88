"""The section of the results page."""

from __future__ import annotations

from studies.kill_and_resume.run import summary
from studies.shared.page import read, section


def text() -> str:
    """Endings after kills."""
    rows = read("kill_test")
    commands = (f"`infopace {command}`" for command in dict.fromkeys(row["command"] for row in rows))
    text = f"{summary(rows)[0]}. Killed and run again: {', '.join(commands)}."
    return section("Kill and resume", "`python -m studies.kill_and_resume.run`", text)
