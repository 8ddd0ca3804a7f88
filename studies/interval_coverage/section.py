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
        "draws",
        "bias",
        "true spread",
        "error bar",
        "bias seen",
        "95 % interval covers",
        "truth below, above it",
        "1.96 error bars alone",
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
    notes = (
        [f"- The interval was worked out on these very draws (`--seeds 55`): {'; '.join(worked_out)}."]
        if worked_out
        else []
    )
    if not any(group.startswith("calibrated") for group in groups):
        notes.append("- The cases of the calibrated estimator: not run.")
    notes += p_values
    text = "\n\n".join([table(head, rows), "\n".join(notes)]).rstrip()
    return section(
        "The 95 % interval: draws of n = 1000 rows from laws with a known answer",
        "`python -m studies.interval_coverage.run`",
        text,
    )
