"""The sections of docs/results.md about estimators."""

from __future__ import annotations

import statistics
from typing import Any

from page import mean, percent, read, section, table


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
