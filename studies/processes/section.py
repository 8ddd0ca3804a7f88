"""The section of the results page."""

from __future__ import annotations

from typing import Any

from studies.shared.page import read, section

_EQUAL = ("rates_equal", "weights_equal")
_HEAD = (
    "| case | processes | seeds | rolled back | rates equal | weights equal | rates equal, control | "
    "weights equal, control |"
)


def text() -> str:
    """In how many seeds all processes had the same rates and weights."""
    by_case: dict[tuple[str, int], dict[bool, list[dict[str, Any]]]] = {}
    for row in read("processes"):
        setting = row["setting"]
        case = by_case.setdefault((setting["case"], setting["processes"]), {True: [], False: []})
        case[setting["exchange"]].append(row)
    lines = [_HEAD, "| --- |" + " ---: |" * 7]
    for (case, count), rows in sorted(by_case.items()):
        ours, control = rows[True], rows[False]
        numbers = [
            len(ours),
            sum(any(row["rolled_back"]) for row in ours),
            *(sum(row[name] for row in some) for some in (ours, control) for name in _EQUAL),
        ]
        lines.append(f"| {case} | {count} | " + " | ".join(map(str, numbers)) + " |")
    intro = (
        "Small networks with batch norm on digits, each process with its own part of the data. Counted are the seeds "
        "in which all processes had the same bits in every epoch. In the control the scheduler does not see the "
        "others.\n\n"
    )
    return section("Several processes", "`python -m studies.processes.run`", intro + "\n".join(lines))
