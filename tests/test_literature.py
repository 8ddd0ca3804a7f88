"""The page of published systems: each has a state, and a command of this project where it has one."""

from __future__ import annotations

import importlib.util
import re

from infopace.lab.workloads import WORKLOADS

from .house import ROOT

PAGE = ROOT / "docs" / "literature.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| system"))
]


def test_each_system_has_a_state_and_a_command_or_a_reason() -> None:
    assert len(ROWS) > 20
    for system, _, state, command in ROWS:
        assert re.search(r"\b(works|reading|not run)\b", state), system
        assert command.strip("` |") or "not run" in state, system


def test_the_commands_are_there() -> None:
    known = 0
    for system, _, _, command in ROWS:
        command = command.strip("` |")
        if study := re.match(r"python -m (\S+)", command):
            assert importlib.util.find_spec(study[1]), system
        elif workload := re.match(r"infopace (?:train|compare) (\S+)", command):
            assert workload[1] in WORKLOADS, system
        elif command:
            assert (ROOT / command.split()[-1]).exists(), system
        known += bool(command)
    assert known > 18
