"""The section of the results page."""

from __future__ import annotations

import math
import statistics

from studies.shared.page import read, section, table


def text() -> str:
    """Repeatability of range tests, and the tests that were run once."""
    found = read("range_repeatability")
    rows = []
    for workload in dict.fromkeys(row["workload"] for row in found):
        grid: dict[float, list[float]] = {}
        for row in found:
            if row["workload"] == workload and row["method"] == "constant":
                grid.setdefault(row["lr"], []).append(row["test"])
        means = {lr: statistics.fmean(values) for lr, values in grid.items()}
        best = max(means, key=lambda lr: means[lr])
        # Within two standard errors of the best's accuracy on the test set.
        test_predictions = {"cancer-mlp": 114}.get(workload, 360) * 3
        noise = 2 * math.sqrt(means[best] * (1 - means[best]) / test_predictions)
        tied = [lr for lr, value in means.items() if value >= means[best] - noise]
        for method in ("infopace", "torch-lr-finder", "Lightning Tuner"):
            mine = [row for row in found if (row["workload"], row["method"]) == (workload, method)]
            tops = [math.log10(row["lr_top"]) for row in mine if "lr_top" in row]
            highs = [math.log10(row["lr_max"]) for row in mine if "lr_max" in row]
            bias = statistics.fmean(tops) - math.log10(best)
            rows.append(
                [
                    workload,
                    method,
                    f"{10 ** statistics.fmean(tops):.2g}",
                    f"{max(tops) - min(tops):.2f} ({statistics.pstdev(tops):.2f})",
                    f"{max(highs) - min(highs):.2f} ({statistics.pstdev(highs):.2f})" if highs else "",
                    f"{best:g} ({min(tied):g} to {max(tied):g})",
                    f"{bias:+.2f}",
                    f"{sum(row.get('refused') is not None for row in mine)} of {len(mine)}",
                ]
            )
    head = [
        "workload",
        "finder",
        "lr_top",
        "its spread (sd)",
        "spread of lr_max (sd)",
        "best constant learning rate (as good)",
    ]
    head += ["bias of lr_top", "refused"]
    once = [
        [
            row["test"],
            *(f"{row['bounds'][name]:.2g}" for name in ("lr_min", "lr_top", "lr_max", "epsilon")),
            f"{row['steps']:,}",
            f"{100 * row['share_of_the_training']:.1f} %",
        ]
        for row in read("range_tests")
    ]
    once.append(["mnist-lenet, the paper's", "0.0001", "", "0.2", "", "", ""])
    text = (
        "30 seeds. Spread and bias are in decades, the spread from the smallest to the largest.\n\n"
        f"{table(head, rows)}\n\n"
        "Run once, with seed 0, by `infopace range-test WORKLOAD [--method paper --epochs-each 3]`. Algorithm 2 ran "
        "one whole trial by accuracy, and its two others at the learning rate that crashed. CIFAR-10 needs a GPU: "
        "not run.\n\n"
        + table(["test", "lr_min", "lr_top", "lr_max", "epsilon", "steps", "share of the run"], once)
    )
    return section("Range tests", "`python -m studies.range_test_repeatability.run`", text)
