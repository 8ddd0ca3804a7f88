"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Seconds and memory against n, blocks of distances."""
    rows = [
        [f"{r['n']:,}", r["target"], f"{r['seconds']:.1f}", f"{r['cpu_seconds']:.1f}", f"{r['peak_mb']:.0f}"]
        for r in read("estimators_scaling")
    ]
    head = ["examples", "targets", "seconds", "processor seconds", "peak MB of the process"]
    return section(
        "Time and memory against the number of examples",
        "`python -m studies.estimator_scaling.run --rows 1000 5000 20000 50000`",
        "Blocks of distances, d = 1000. The cores were shared with other work.\n\n" + table(head, rows),
    )
