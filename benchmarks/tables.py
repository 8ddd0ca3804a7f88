"""Write docs/results.md from the rows in results/: python benchmarks/tables.py"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Results

Every number on this page is read from the rows in `results/` by `python benchmarks/tables.py`; each section names the
command that made its rows. CPU only; whatever needs a GPU was not run.
"""
# [paper] Vasudevan 2020, best test value of 3 seeds.
PAPER = {
    ("mnist-lenet", False): "99.27 %",
    ("mnist-lenet", True): "99.39 %",
    ("uci-temperature", False): "1.32 °C",
}


def main() -> None:
    """Write the page."""
    parts = [
        HEAD,
        training(),
        range_tests(),
        kills(),
        share(),
        traps(),
        accuracy(),
        coverage(),
        speed(),
        scaling(),
        trees(),
    ]
    (ROOT / "docs" / "results.md").write_text("\n".join(parts))


def training() -> str:
    """Final and best test values of whole runs, beside the paper's."""
    rows = []
    runs = sorted(
        read("train_runs"), key=lambda run: (run["settings"]["workload"], run["settings"]["layer_wise"])
    )
    for run in runs:
        settings, metric = run["settings"], run["metric"]
        final, best = (
            f"{run[which] * metric['scale']:.{2 if metric['scale'] == 100 else 3}f}"
            for which in ("final", "best")
        )
        rows.append(
            [
                settings["workload"],
                "each layer" if settings["layer_wise"] else "one",
                settings["seed"],
                "bf16" if settings["bf16"] else "f32",
                f"{final} {metric['unit']}",
                f"{best} {metric['unit']}, epoch {run['best_epoch']}",
                PAPER.get((settings["workload"], settings["layer_wise"]), ""),
            ]
        )
    head = [
        "workload",
        "rate for",
        "seed",
        "format",
        "after the last epoch",
        "at its best epoch",
        "paper, best of 3",
    ]
    command = (
        "`infopace train WORKLOAD --bounds workload --seed S --threads 1 [--bf16] [--layer-wise]` and "
        "`benchmarks/collect_runs.py`"
    )
    return section("The rule of Vasudevan 2020 (`Vasudevan2020`, its defaults)", command, table(head, rows))


def kills() -> str:
    """Endings after a kill."""
    first, *rows = read("kill_test")
    same = sum(row["ending"] == first["ending"] for row in rows)
    text = f"{same} of {len(rows)} runs of digits, each killed before its end and resumed, end with the same bits."
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


def traps() -> str:
    """Labels: ours beside the usual constructions."""
    methods = ["ours", "plain Ross", "KSG, one-hot", "3 entropies"]
    cases: dict[str, list[dict[str, Any]]] = {}
    for row in read("label_traps"):
        cases.setdefault(row["case"], []).append(row)
    rows = [
        [
            case,
            mean(row["truth"] for row in found),
            *(mean(row[method] for row in found) for method in methods),
        ]
        for case, found in cases.items()
    ]
    return section(
        "A vector and labels: where estimators go wrong (n = 1000, nats, mean of five samples)",
        "`python benchmarks/estimators/label_table.py`",
        table(["case", "truth", *methods], rows),
    )


def accuracy() -> str:
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
            "`list` is benchmark-mi's own forty tasks, `outside` others made with its samplers.",
            table(["suite", "estimator", "samples", "mean absolute error", "within 0.05"], summary),
            "Where `auto` is off by more than 0.05:",
            table(["suite", "task", "truth", "auto", "chosen"], failed),
            gaps(),
        ]
    )
    title = "Two vectors: benchmark-mi's tasks, N = 5000 (nats)"
    return section(title, "`python benchmarks/bmi/run.py` and `benchmarks/bmi/explain_gaps.py`", text)


def chosen_model(row: dict[str, Any]) -> str:
    """What `auto` chose, from its own words."""
    return row["choice"].removeprefix("calibrated: ").split(" fits rows")[0]


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
        f"to 1e-9 in {equal} of {len(largest)} samples, the largest gap {max(largest.values()):.1e}. In "
        f"{len({row['task'] for row in explained})} of them every comparison that rounding could decide was made in "
        "fractions, and rows whose counts differ were looked at; the others stand as `run.py` found them before "
        "columns were scaled after the differences:"
    )
    head = ["norm", "settings", "differ", "rows that differ", "ours right", "peer right", "ours from exact"]
    return f"{text}\n\n{table(head, rows)}"


def coverage() -> str:
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
        "`python benchmarks/estimators/interval_coverage.py`",
        text,
    )


def percent(share: float) -> str:
    """A share in per cent, to one decimal."""
    return f"{100 * share:.1f} %"


def trees() -> str:
    """Neighbour trees: seconds."""
    rows = []
    kinds = {"ross": "labels (ross)", "ksg1": "targets (ksg1)"}
    for row in sorted(read("estimators_tree"), key=lambda row: (row["n"], row["width"], row["estimator"])):
        tree, block = row["tree"], row.get("blocked")
        call = "the value"
        if row.get("whole_call"):
            call = f"`mutual_information`, {'with' if row['std_error'] else 'without'} error bar"
        rows.append(
            [
                f"{row['n']:,}",
                row["width"],
                kinds[row["estimator"]],
                row["norm"],
                row["search"],
                call,
                f"{tree['seconds']:.1f}",
                f"{tree['processor_seconds']:.1f}",
                f"{block['processor_seconds']:.1f}" if block else "",
                {True: "yes", False: "no", None: ""}[row.get("equal")],
                f"{row['load']:.0f}",
            ]
        )
    head = [
        "rows",
        "columns",
        "estimator",
        "norm",
        "tree by",
        "what",
        "seconds",
        "processor seconds",
    ]
    head += ["blocks: processor seconds", "equal to the bit", "load of the two cores"]
    return section(
        "Neighbour trees: many narrow rows",
        "`python benchmarks/estimators/tree.py`",
        "Rows with a load above 2 were measured on cores shared with other work: there only the processor seconds "
        f"say much.\n\n{table(head, rows)}",
    )


def speed() -> str:
    """Seconds of one estimate beside the peers."""
    text = ""
    for target, kind in (("labels", "labels"), ("floats", "continuous targets")):
        found = [row for row in read("estimators_speed") if row["target"] == target]
        widths = list(dict.fromkeys(row["d"] for row in found))
        seconds = {(row["method"], row["d"]): row.get("seconds") for row in found}
        rows = []
        for method in dict.fromkeys(row["method"] for row in found):
            cells = []
            for width in widths:
                taken, own = seconds.get((method, width)), seconds.get(("ours", width))
                ratio = f" ({taken / own:.1f}x)" if taken and own else ""
                cells.append("not run" if taken is None else f"{taken:.3f}{ratio}")
            if any(cell != "not run" for cell in cells):
                rows.append([method, *cells])
        text += f"\n{kind}, seconds (and times ours):\n\n{table(['method', *(f'd = {w:,}' for w in widths)], rows)}\n"
    return section(
        "One estimate, n = 1000, two threads", "`python benchmarks/estimators/speed.py`", text.strip()
    )


def scaling() -> str:
    """Seconds and memory against n, blocks of distances."""
    rows = [
        [f"{r['n']:,}", r["target"], f"{r['seconds']:.1f}", f"{r['cpu_seconds']:.1f}", f"{r['peak_mb']:.0f}"]
        for r in read("estimators_scaling")
    ]
    head = ["rows", "targets", "seconds", "processor seconds", "peak MB of the process"]
    return section(
        "Blocks of distances, d = 1000 (the cores were shared with other work)",
        "`python benchmarks/estimators/scaling.py --rows 1000 5000 20000 50000`",
        table(head, rows),
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


def read(name: str) -> list[dict[str, Any]]:
    """The rows of results/<name>.jsonl."""
    return [json.loads(line) for line in (ROOT / "results" / f"{name}.jsonl").read_text().splitlines()]


def section(title: str, command: str, text: str) -> str:
    """A heading, what made the rows, and the text."""
    return f"## {title}\n\nFrom {command}.\n\n{text}\n"


def table(head: list[str], rows: Iterable[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean(values: Iterable[float | str]) -> str:
    """The mean to three places; what is not a number stays so."""
    value = statistics.fmean(float(value) for value in values)
    return "not a number" if math.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
