"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """What share of the time measuring takes."""
    out = [
        [
            row["workload"],
            " and ".join(map(str, row["probes"])),
            row["every"],
            row["measurements"],
            f"{row['seconds'][1]:.0f}",
            f"{100 * row['share_measuring']:.2f} %",
            f"{row['ratio']:.3f}",
            f"{row['median_ratio']:.3f}",
        ]
        for row in read("cadence_auto")
    ]
    head = [
        "workload",
        "examples of the probes",
        "steps between measurements",
        "measurements",
        "seconds under the scheduler",
        "of these, measuring",
        "time, over that of the plain loop",
        "median over pairs of segments",
    ]
    return section(
        "The time that measuring takes",
        "`python -m studies.cadence_auto.run`",
        'Training with `every="auto"`, beside the plain loop on the same batches. Segments of both take turns in one '
        f"process on one thread.\n\n{table(head, out)}",
    )
