"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Seconds of one estimate beside the peers."""
    text = ""
    for target, kind in (("labels", "labels"), ("floats", "continuous targets")):
        found = [row for row in read("estimators_speed") if row["target"] == target]
        widths = list(dict.fromkeys(row["d"] for row in found))
        seconds = {(row["method"], row["d"]): row.get("seconds") for row in found}
        rows = []
        for method in dict.fromkeys(row["method"] for row in found):
            cells = []
            for width in widths:
                taken, own = seconds.get((method, width)), seconds.get(("ours", width))
                ratio = f" ({taken / own:.1f}x)" if taken and own else ""
                cells.append("not run" if taken is None else f"{taken:.3f}{ratio}")
            if any(cell != "not run" for cell in cells):
                rows.append([method, *cells])
        text += f"\n{kind}, seconds (and times ours):\n\n{table(['method', *(f'd = {w:,}' for w in widths)], rows)}\n"
    return section(
        "One estimate, n = 1000, two threads", "`python -m studies.estimator_speed.run`", text.strip()
    )
