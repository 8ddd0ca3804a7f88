"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from studies.shared.page import mean, read, section, table


def text() -> str:
    """Two vectors: benchmark-mi's tasks, and others of its samplers."""
    suites: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in read("bmi"):
        number = row["task"].split("-")[0]
        suites.setdefault(row["suite"], {}).setdefault(f"{number} {row['name']}", []).append(row)
    summary, failed = [], []
    columns = [("auto", "auto"), ("its KSG, k = 3, Euclidean", "ksg_euclidean_3"), ("its CCA", "cca")]
    for suite, tasks in suites.items():
        for name, key in columns:
            measured = [rows for rows in tasks.values() if all(key in row for row in rows)]
            errors = [statistics.fmean(abs(row[key] - row["truth"]) for row in rows) for rows in measured]
            if errors:
                cells = (
                    f"{statistics.fmean(errors):.3f}",
                    f"{sum(e <= 0.05 for e in errors)} of {len(errors)}",
                )
                summary.append([suite, name, sum(map(len, measured)), *cells])
        for rows in tasks.values():
            if statistics.fmean(abs(row["auto"] - row["truth"]) for row in rows) > 0.05:
                cells = (mean(row[key] for row in rows) for key in ("truth", "auto"))
                models = ", ".join(dict.fromkeys(chosen_model(row) for row in rows if "choice" in row))
                failed.append([suite, rows[0]["name"], *cells, models])
    text = "\n\n".join(
        [
            "`list` is benchmark-mi's own forty tasks, `outside` others made with its samplers. n = 5000, values in "
            "nats.",
            table(["suite", "estimator", "samples", "mean absolute error", "within 0.05"], summary),
            "Where `auto` is off by more than 0.05:",
            table(["suite", "task", "truth", "auto", "chosen"], failed),
            gaps(),
        ]
    )
    return section(
        "Two vectors: benchmark-mi's tasks",
        "`python -m studies.benchmark_mi.run` and `studies/benchmark_mi/explain_gaps.py`",
        text,
    )


def chosen_model(row: dict[str, Any]) -> str:
    """The model that `auto` chose."""
    return row["choice"].removeprefix("calibrated: ").split(" fits ")[0]


def gaps() -> str:
    """Our KSG and benchmark-mi's at equal settings: which differ, and whose counts are right."""
    explained = read("bmi_gaps")
    largest = {row["task"]: row["ksg_gap"] for row in read("bmi") if "ksg_gap" in row}
    for task in {row["task"] for row in explained}:
        found = [value for row in explained if row["task"] == task for value in row["k"].values()]
        largest[task] = max(value["gap"] for value in found)
    rows = []
    for norm in ("euclidean", "chebyshev"):
        settings = [found for row in explained if row["norm"] == norm for found in row["k"].values()]
        cases = [case for found in settings for case in found["cases"]]
        right = [sum(case[who] == case["exact"] for case in cases) for who in ("ours", "peer")]
        unequal = sum(found["gap"] > 1e-9 for found in settings)
        worst = f"{max(found['ours_to_exact'] for found in settings):.0e}"
        rows.append([norm, len(settings), unequal, len(cases), *right, worst])
    equal = sum(gap <= 1e-9 for gap in largest.values())
    text = (
        "Our KSG against benchmark-mi's at equal settings (k = 3, 5, 10, both norms, each column standardised): equal "
        f"to 1e-9 in {equal} of {len(largest)} samples, with a largest gap of {max(largest.values()):.1e}. In "
        f"{len({row['task'] for row in explained})} of them every comparison that rounding could decide was made in "
        "fractions, and the table counts the examples that differ. The others are as `run.py` found them, before ours "
        "scaled columns after taking differences."
    )
    head = [
        "norm",
        "settings",
        "differ",
        "examples that differ",
        "ours right",
        "peer right",
        "ours from exact",
    ]
    return f"{text}\n\n{table(head, rows)}"
