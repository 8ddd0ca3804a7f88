"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict

from studies.shared.page import read, section, table
from studies.shared.paired import Rows


def text() -> str:
    """How long each layer is held."""
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
                "each layer" if method.endswith("layer-wise") else "all layers",
                layer,
                len(own),
                f"{statistics.fmean(held):.1f} ({min(held)} to {max(held)})",
                sum(row["held_again"] > 0 for row in own),
                f"{statistics.fmean(row['nats'] for row in own):.3f}",
            ]
        )
    head = [
        "workload",
        "learning rate for",
        "driven by",
        "runs",
        "epochs held",
        "held again",
        "nats at the end",
    ]
    return section(
        "How long each layer is held",
        "`python -m studies.layer_holds.run FOLDER`, of a comparison's folder",
        "The default rule with one learning rate for all layers, or one for each. Accuracies are in the comparison.\n\n"
        f"{table(head, out)}",
    )
