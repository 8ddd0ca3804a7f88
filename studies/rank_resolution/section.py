"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Bias of the information that is read from ranks."""
    rows = [
        [
            f"{row['n']:,}",
            f"{row['below']:g}",
            f"{row['truth']:.3f}",
            f"{row['bias']:+.3f}",
            f"{row['spread']:.3f}",
            f"{row['formula']:+.3f}",
        ]
        for row in read("rank_resolution")
    ]
    head = ["n", "nats below ln n", "truth", "bias", "spread", "formula"]
    return section(
        "What ranks can resolve",
        "`python -m studies.rank_resolution.run`",
        "y = x + noise, and a Gaussian copula fitted to the ranks of n examples; 40 samples per row, in nats. The "
        f"formula is that of the calibrated estimator.\n\n{table(head, rows)}",
    )
