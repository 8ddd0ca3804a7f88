"""The section of the results page."""

from __future__ import annotations

from typing import Any

from studies.shared.page import percent, read, section, table


def text() -> str:
    """Intervals and p-values."""
    groups: dict[str, list[dict[str, Any]]] = {}
    # Where a case was run again its last row counts.
    for row in {(row["group"], row["case"]): row for row in read("coverage")}.values():
        groups.setdefault(row["group"], []).append(row)
    p_values = [
        f"- p-value without information, {row['case']}: below .05 in {100 * row['below_05']:.1f} %, "
        f"KS test of uniformity p = {row['ks_p']:.2f}."
        for row in groups.pop("p-value", [])
    ]
    head = [
        "case",
        "",
        "estimator",
        "samples",
        "bias",
        "true spread",
        "error bar",
        "estimated bias",
        "95 % interval covers",
        "truth below, above it",
        "1.96 error bars cover",
        "beyond reach",
    ]
    rows = [
        [
            row["case"],
            group,
            row["method"],
            row["draws"],
            f"{row['bias']:+.3f}",
            f"{row['spread']:.3f}",
            f"{row['std_error']:.3f}",
            f"{row['bias_seen']:+.3f}",
            percent(row["coverage"]),
            f"{percent(row['truth_below'])}, {percent(row['truth_above'])}",
            percent(row["coverage_of_std_error"]),
            percent(row["beyond_reach"]),
        ]
        for group, found in groups.items()
        for row in found
    ]
    worked_out = [row["case"] for found in groups.values() for row in found if row["seeds"] == 55]
    notes = []
    if worked_out:
        notes.append(
            f"- The interval was developed on these samples (`--seeds 55`): {'; '.join(worked_out)}."
        )
    if not any(group.startswith("calibrated") for group in groups):
        notes.append("- The cases of the calibrated estimator: not run.")
    notes += p_values
    about = "Samples of n = 1000 where nothing else is said; values in nats."
    text = "\n\n".join([about, table(head, rows), "\n".join(notes)]).rstrip()
    return section(
        "The 95 % interval, on distributions with known information",
        "`python -m studies.interval_coverage.run`",
        text,
    )
