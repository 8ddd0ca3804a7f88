"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table


def text() -> str:
    """What importing and help take beyond importing torch."""
    rows = []
    for row in read("import_time"):
        beyond = row["beyond_torch_s"]
        middle = statistics.median(beyond)
        spread = f"{middle:.2f} ({min(beyond):.2f} to {max(beyond):.2f})"
        rows.append([f"`{row['command']}`", row["rounds"], spread, f"{100 * middle / row['torch_s']:.0f}"])
    head = ["command", "rounds", "beyond torch, s (least to most)", "of importing torch, %"]
    return section(
        "How long importing takes",
        "`python -m studies.import_time.run --rounds 20`",
        "Each command runs in a process of its own and takes turns with `import torch`, which is taken off. Shown is "
        "the median of the rounds. Time is of a processor that other programs shared."
        f"\n\n{table(head, rows)}",
    )
