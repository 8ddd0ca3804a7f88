"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict

from studies.shared.page import read, section, table
from studies.shared.paired import (
    Rows,
)


def text() -> str:
    """How long each layer was held."""
    rows = read("layer_clocks")
    groups: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[row["workload"], row["method"], row["layer"]].append(row)
    out = []
    for (workload, method, layer), own in groups.items():
        held = [row["held"] for row in own]
        out.append(
            [
                workload,
                "each layer" if method.endswith("layer-wise") else "one",
                layer,
                len(own),
                f"{statistics.fmean(held):.1f} ({min(held)} to {max(held)})",
                sum(row["held_again"] > 0 for row in own),
                f"{statistics.fmean(row['nats'] for row in own):.3f}",
            ]
        )
    head = [
        "workload",
        "rate for",
        "driven by",
        "runs",
        "epochs held",
        "runs that held again",
        "nats at the end",
    ]
    return section(
        "The clocks of the layers",
        "`python -m studies.layer_holds.run FOLDER`, of a comparison's folder",
        f"Our rule, one rate for all layers or one for each; accuracies are in the comparison.\n\n{table(head, out)}",
    )
