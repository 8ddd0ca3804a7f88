"""Sections of docs/results.md: bounds that promise too much; another rate to hold, another way down."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from comparison_section import workload_of
from page import read, section, table

from infopace.lab.workload import Metric

Rows = list[dict[str, Any]]
_STANDARD = {"left": 0.5, "lowered": 0.5}


def too_high_section() -> str:
    """Tables of the bounds times 1, 2, 4 and 8, of few epochs, and of the constants moved."""
    rows = read("policy_too_high")
    standard = [row for row in rows if _constants(row) == _STANDARD]
    text = (
        "Our rule as `infopace train` takes it. Bounds: those of the comparison's range test, or so many "
        "times as high; or digits with few epochs, whose range test before the training is as short as that. "
        "Dead: diverged, or ended at less than half of the accuracy that the tested bounds give, or at twice "
        "the error; the mean is of those that did not diverge.\n\n"
        "Expected before the first run: without undoing more and more trainings die from twice the bounds on, "
        "with it none does and each ends within a point of the tested bounds. The last is refuted: a rate "
        "that is too high also does harm that no single epoch shows, and what is undone is missing. In the "
        "first run networks went on falling at lr_top, too, which is why the rule then holds half of it."
    )
    parts = [text, _table(standard)]
    moved = _moved(rows)
    if moved:
        parts += ["The two constants of undoing, at bounds four times too high:", moved]
    return section(
        "Bounds that promise too much", "`python benchmarks/policies/too_high.py`", "\n\n".join(parts)
    )


def _table(rows: Rows) -> str:
    groups: dict[tuple[Any, ...], dict[bool, Rows]] = defaultdict(lambda: {True: [], False: []})
    for row in rows:
        setting = row["setting"]
        groups[setting["workload"], setting["times"], setting["epochs"]][setting["undo"]].append(row)
    out = []
    for (name, times, epochs), by in groups.items():
        metric = workload_of([{"workload": name}]).metric
        bounds = "as tested" if times == 1 else f"times {times}" if times else f"tested for {epochs} epochs"
        usual = statistics.fmean(row["test"][-1] for row in groups[name, 1, None][True])
        cells = [_cell(by[undo], usual, metric) for undo in (True, False)]
        undone = statistics.fmean(row["undone"] for row in by[True])
        out.append([name, bounds, len(by[True]), *cells[0], f"{undone:.1f}", *cells[1]])
    head = ["workload", "bounds", "seeds", "final", "dead", "epochs undone", "final, nothing undone", "dead"]
    return table(head, sorted(out, key=lambda row: (row[0], "for" in row[1])))


def _cell(rows: Rows, usual: float, metric: Metric) -> tuple[str, str]:
    finals = [row["test"][-1] for row in rows if not row["diverged"]]
    dead = sum(row["diverged"] or _is_dead(row["test"][-1], usual, metric) for row in rows)
    shown = metric.show(statistics.fmean(finals)) if finals else "none"
    return shown, f"{dead} of {len(rows)}" if dead else "0"


def _is_dead(final: float, usual: float, metric: Metric) -> bool:
    return final < 0.5 * usual if metric.higher_is_better else final > 2 * usual


def _constants(row: dict[str, Any]) -> dict[str, float]:
    return {name: row["setting"][name] for name in _STANDARD}


def _moved(rows: Rows) -> str:
    out = []
    for name in dict.fromkeys(row["setting"]["workload"] for row in rows if _constants(row) != _STANDARD):
        metric = workload_of([{"workload": name}]).metric
        own = [r for r in rows if r["setting"]["workload"] == name and r["setting"]["times"] == 4]
        groups: dict[tuple[float, ...], Rows] = defaultdict(list)
        for row in own:
            if row["setting"]["undo"]:
                groups[tuple(_constants(row).values())].append(row)
        for (left, lowered), some in sorted(groups.items()):
            finals = metric.show(statistics.fmean(row["test"][-1] for row in some))
            undone = f"{statistics.fmean(row['undone'] for row in some):.1f}"
            out.append([name, f"{left:g}", f"{lowered:g}", len(some), finals, undone])
    head = [
        "workload",
        "share of information left",
        "share of the bounds left",
        "seeds",
        "final",
        "epochs undone",
    ]
    return table(head, out) if out else ""


def rate_and_shape_section() -> str:
    """What another rate to hold, or another way down, changes."""
    groups: dict[str, dict[tuple[float, str], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in read("policy_rate_and_shape"):
        setting = row["setting"]
        if row["test"]:
            groups[setting["workload"]][setting["middle"], setting["shape"]][setting["seed"]] = row["test"][
                -1
            ]
    others = [(0.0, "linear"), (1.0, "linear"), (0.5, "1 - sqrt(t)"), (0.5, "(1 - t)^2")]
    out = []
    for name, by in groups.items():
        metric, usual = workload_of([{"workload": name}]).metric, by[0.5, "linear"]
        shown = metric.show(statistics.fmean(usual.values()))
        out.append([name, len(usual), shown, *(_less(by[other], usual, metric) for other in others)])
    head = ["workload", "seeds", "as it is", "LR_top held", "LR_max held", "1 - sqrt(t)", "(1 - t)^2"]
    text = (
        "What each changes against the rule as it is, paired by seed, with standard errors (points of accuracy, or the "
        "error's own unit, where less is better). Expected was that a faster way down helps where a network memorizes, "
        "and costs nothing elsewhere: it helps noisy-mlp and flipped, and costs the networks that memorize nothing a "
        "tenth of a point. LR_top is as much worse on digits as it is better on a deep MLP."
    )
    return section(
        "Another rate to hold, another way down",
        "`python benchmarks/policies/rate_and_shape.py`",
        f"{text}\n\n{table(head, out)}",
    )


def _less(these: dict[int, float], those: dict[int, float], metric: Metric) -> str:
    values = [metric.scale * (these[seed] - those[seed]) for seed in these if seed in those]
    if len(values) < 2:
        return ""
    digits = 2 if metric.scale == 100 else 4
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):+.{digits}f} ± {error:.{digits}f}"
