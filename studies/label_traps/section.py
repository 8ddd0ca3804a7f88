"""The section of the results page."""

from __future__ import annotations

from typing import Any

from studies.shared.page import mean, read, section, table


def text() -> str:
    """Labels: ours beside the forms in use."""
    methods = ["ours", "plain Ross", "KSG, one-hot", "3 entropies"]
    cases: dict[str, list[dict[str, Any]]] = {}
    for row in read("label_traps"):
        cases.setdefault(row["case"], []).append(row)
    rows = [
        [
            case,
            mean(row["truth"] for row in found),
            *(mean(row[method] for row in found) for method in methods),
        ]
        for case, found in cases.items()
    ]
    return section(
        "A vector and labels: where estimators go wrong",
        "`python -m studies.label_traps.run`",
        "n = 1000; nats, the mean of five samples.\n\n" + table(["case", "truth", *methods], rows),
    )
