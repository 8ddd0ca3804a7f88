"""Write docs/results.md from the rows in results/: python benchmarks/tables.py"""

from __future__ import annotations

import math
import statistics

import estimator_sections as estimators
from comparison_section import comparisons, update_readme
from held_out_section import beside_the_cosine
from kill_test import summary
from page import ROOT, percent, read, section, table
from policy_sections import policy_sections
from rates_section import rate_and_shape_section, too_high_section
from sample_size_section import sample_size
from training_section import whole_trainings

HEAD = """# Results

Every number on this page is read from the rows in `results/` by `python benchmarks/tables.py`; each section names the
command that made its rows. CPU only; whatever needs a GPU was not run.
"""


def main() -> None:
    """Write the page."""
    parts = [
        HEAD,
        comparisons(),
        beside_the_cosine(),
        policy_sections(),
        too_high_section(),
        rate_and_shape_section(),
        whole_trainings(),
        range_tests(),
        range_layers(),
        kills(),
        share(),
        loops(),
        sample_size(),
        estimators.traps(),
        estimators.accuracy(),
        estimators.coverage(),
        estimators.speed(),
        estimators.scaling(),
        estimators.trees(),
    ]
    (ROOT / "docs" / "results.md").write_text("\n".join(part for part in parts if part))
    update_readme()


def loops() -> str:
    """Speed of the lab's loop over that of a bare one."""
    rows = [
        [row["workload"], row["pairs"], row["bare_epochs_a_minute"], row["lab"], row["lab_paced"]]
        for row in read("lab_loop")
    ]
    head = ["workload", "pairs", "bare loop, epochs a minute", "lab / bare", "lab, paced / bare"]
    return section(
        "The lab's loop beside a bare one",
        "`python benchmarks/lab_loop.py digits cifar10-small`",
        "Median ratio of speeds over pairs that take turns on one thread, evaluation included; paced: with the "
        "measurement of every epoch. Few pairs on a shared machine: a ratio is good to some per cent."
        f"\n\n{table(head, rows)}",
    )


def kills() -> str:
    """Endings after kills."""
    rows = read("kill_test")
    commands = ", ".join(f"`infopace {command}`" for command in dict.fromkeys(row["command"] for row in rows))
    text = f"{summary(rows)[0]}. Killed and given again: {commands}."
    return section("Kill and resume", "`python benchmarks/kill_test.py`", text)


def share() -> str:
    """What measuring costs."""
    rows = [
        [row["layers"], f"{100 * row['share']:.2f} %", f"{100 * row['bar']:g} %"]
        for row in read("measuring_share")
    ]
    return section(
        "Share of an epoch of mnist-lenet spent on measuring",
        "`python benchmarks/measuring_share.py`",
        table(["measured", "share", "bar"], rows),
    )


def range_tests() -> str:
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
        rows_of_test = {"cancer-mlp": 114}.get(workload, 360) * 3
        noise = 2 * math.sqrt(means[best] * (1 - means[best]) / rows_of_test)
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
        "best constant rate (as good)",
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
        f"30 seeds; spread and bias in decades, spread from the smallest to the largest.\n\n{table(head, rows)}\n\n"
        "Run once, seed 0, with `infopace range-test WORKLOAD [--method paper --epochs-each 3]`; Algorithm 2 by "
        "accuracy in one whole trial, its two others at the rate that crashed. CIFAR-10, which needs a GPU: not "
        "run.\n\n"
        + table(["test", "lr_min", "lr_top", "lr_max", "epsilon", "steps", "share of the training"], once)
    )
    return section("Range tests", "`python benchmarks/range_test/repeatability.py`", text)


def range_layers() -> str:
    """Bounds of each layer raced alone, and trainings with all of them at once."""
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
        f"{test['seconds']:.0f} s. Each layer's rate was raced while the others kept the shared lr_top.\n\n"
        f"{table(['layer', 'lr_min', 'lr_top', 'lr_max'], alone)}\n\n"
        "Trainings at constant rates, all layers at once; test accuracy after the last epoch:\n\n"
        + table(["rates", "seeds", "median", "worst", "best"], ended)
    )
    return section(
        f"Range test, layer by layer ({workload})", "`python benchmarks/range_test/layers.py FOLDER`", text
    )


if __name__ == "__main__":
    main()
