"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import percent, read, section, table


def text() -> str:
    """Bounds of each layer raced alone, and runs with all of them at once."""
    rows = read("range_layers")
    test = next(row for row in rows if row["kind"] == "test")
    workload = test["workload"]
    alone = [
        [row["layer"], *(f"{row[name]:.2g}" for name in ("lr_min", "lr_top", "lr_max"))]
        for row in rows
        if row["kind"] == "bounds"
    ]
    together: dict[str, list[float]] = {}
    for row in rows:
        if row["kind"] == "training":
            together.setdefault(row["rates"], []).append(row["final"])
    ended = [
        [which, len(finals), percent(statistics.median(finals)), percent(min(finals)), percent(max(finals))]
        for which, finals in together.items()
    ]
    text = (
        f"`infopace range-test {workload} --layer-wise --threads 1`, seed 0: {test['steps']:,} steps, "
        f"{test['seconds']:.0f} s. Each layer was raced while the others kept the shared lr_top.\n\n"
        f"{table(['layer', 'lr_min', 'lr_top', 'lr_max'], alone)}\n\n"
        "Runs at constant learning rates, all layers at once; test accuracy after the last epoch:\n\n"
        + table(["learning rates", "seeds", "median", "worst", "best"], ended)
    )
    return section(
        f"Range test, layer by layer ({workload})", "`python -m studies.range_test_layers.run FOLDER`", text
    )
