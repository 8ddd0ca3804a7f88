"""The section of the results page."""

from __future__ import annotations

import math
import statistics
from typing import Any

from scipy.stats import t as student

from studies.shared.page import read, section, table

STEPS = 900  # of a run; counts for one that never reaches the target
Rows = list[dict[str, Any]]


def text() -> str:
    """Curvature over the norm of the initial weights, and the steps until such a network is good."""
    rows = read("goldilocks")
    blocks = [
        "Xavier's weights times a multiple, or their outputs divided by a temperature: mean over three seeds of the "
        "ratio Tr(H_d) / |H_d|_F in a random subspace of 30 dimensions, where it is at most 5.48, and of the share of "
        "positive eigenvalues.",
        curvature_table(rows),
        "Steps until a network has 0.95 test accuracy, mean and standard error over five seeds; 900 counts where it "
        "has not. The last column is the difference to Xavier's norm with the fixed rates, paired by seed, with its 95 "
        "% interval.",
        training_table(rows),
        *(choice(rows, workload) for workload in trained_networks(rows)),
        "Expected: a peak at 1.5 to 3 times Xavier on both networks, temperature much as the norm, and no significant "
        "gain in steps by choosing the peak. The first held, and the second but that the ratio falls less beyond the "
        "peak by temperature. The third held on digits-mlp. It is refuted on digits, by an interval that leaves out 0 "
        "by little. The default rule was expected to give the same order of norms, and differs from 1 to 3 times "
        "Xavier.",
        "![Ratio and positive share over multiples of the initial weights and over temperatures, and the steps to the "
        "target](images/goldilocks.png)",
    ]
    return section(
        "Curvature of the initial weights", "`python -m studies.goldilocks.run`", "\n\n".join(blocks)
    )


def curvature(rows: Rows, workload: str, by: str) -> dict[float, Rows]:
    """The rows of a network by the multiple, or by 1 / temperature, of its weights."""
    found: dict[float, Rows] = {}
    for row in rows:
        setting = row["setting"]
        if setting["part"] != "curvature" or setting["workload"] != workload:
            continue
        multiple, inverse = setting["multiple"], round(1 / setting["temperature"], 6)
        if by == "multiple" and inverse == 1:
            found.setdefault(multiple, []).append(row)
        if by == "temperature" and multiple == 1:
            found.setdefault(inverse, []).append(row)
    return dict(sorted(found.items()))


def curvature_table(rows: Rows) -> str:
    """A line for each network and multiple or temperature."""
    out = []
    for workload in dict.fromkeys(row["setting"]["workload"] for row in rows):
        for by in ("multiple", "temperature"):
            for value, some in curvature(rows, workload, by).items():
                if by == "temperature" and value == 1:
                    continue
                what = f"weights x {value:g}" if by == "multiple" else f"temperature 1/{value:g}"
                ratios, shares, losses, norms = (
                    statistics.fmean(row[name] for row in some)
                    for name in ("ratio", "positive", "loss", "norm")
                )
                out.append(
                    [
                        workload,
                        what,
                        len(some),
                        f"{norms:.1f}",
                        f"{ratios:.2f}",
                        f"{shares:.2f}",
                        f"{losses:.2f}",
                    ]
                )
    return table(["network", "changed", "seeds", "norm", "ratio", "positive", "loss"], out)


def trained_networks(rows: Rows) -> list[str]:
    """Those with a run at Xavier's norm that counts."""
    done = (row["setting"] for row in rows if row["setting"].get("rate") == "tuned")
    return list(dict.fromkeys(setting["workload"] for setting in done if setting["multiple"] == 1))


def steps_by(rows: Rows, workload: str, rate: str) -> dict[float, dict[int, int]]:
    """Steps to the target by multiple and seed, with the tuned rate of each or with the default rule."""
    found: dict[float, dict[int, int]] = {}
    for row in rows:
        setting = row["setting"]
        if setting["workload"] == workload and setting["part"] == "training" and setting["rate"] == rate:
            found.setdefault(setting["multiple"], {})[setting["seed"]] = row["reached"] or STEPS
    return dict(sorted(found.items()))


def tuned_rates(rows: Rows, workload: str) -> dict[float, float]:
    """The fixed rate of each multiple."""
    return {
        row["setting"]["multiple"]: row["rate"]
        for row in rows
        if row["setting"]["workload"] == workload and row["setting"].get("rate") == "tuned"
    }


def training_table(rows: Rows) -> str:
    """A line for each network and multiple."""
    out = []
    for workload in trained_networks(rows):
        ours, fixed = (steps_by(rows, workload, rate) for rate in ("infopace", "tuned"))
        rates = tuned_rates(rows, workload)
        for multiple, steps in fixed.items():
            apart = "" if multiple == 1 else interval(steps, fixed[1.0])
            own = with_error(ours.get(multiple, {}))
            out.append(
                [
                    workload,
                    f"{multiple:g}",
                    len(steps),
                    f"{rates[multiple]:g}",
                    with_error(steps),
                    own,
                    apart,
                ]
            )
    head = [
        "network",
        "multiple",
        "seeds",
        "fixed rate",
        "steps, fixed rate",
        "steps, default rule",
        "minus Xavier",
    ]
    return table(head, out)


def choice(rows: Rows, workload: str) -> str:
    """What the peak of the ratio, among the trained norms, would have chosen."""
    fixed = steps_by(rows, workload, "tuned")
    ratios = {
        multiple: statistics.fmean(row["ratio"] for row in some)
        for multiple, some in curvature(rows, workload, "multiple").items()
        if multiple in fixed
    }
    means = {multiple: statistics.fmean(fixed[multiple].values()) for multiple in ratios}
    chosen, best = max(ratios, key=lambda one: ratios[one]), min(means, key=lambda one: means[one])
    return (
        f"Among the trained norms of {workload} the ratio is highest at {chosen:g} times Xavier, which takes "
        f"{means[chosen]:.0f} steps. The fewest steps are those of {best:g} times Xavier, {means[best]:.0f}."
    )


def with_error(steps: dict[int, int]) -> str:
    """Mean and standard error."""
    values = list(steps.values())
    if len(values) < 2:
        return ""
    return f"{statistics.fmean(values):.0f} ± {statistics.stdev(values) / math.sqrt(len(values)):.0f}"


def interval(these: dict[int, int], those: dict[int, int]) -> str:
    """The mean difference paired by seed, and its 95 % interval."""
    values = [these[seed] - those[seed] for seed in these if seed in those]
    if len(values) < 2:
        return ""
    mean = statistics.fmean(values)
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.0f} ({mean - half:+.0f} .. {mean + half:+.0f})"
