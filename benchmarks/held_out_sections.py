"""Sections of docs/results.md about rows that are held out until the rate begins to fall."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from comparison_section import workload_of
from page import ROOT, read, section, table

from infopace.lab.compare._statistics import paired_p
from infopace.lab.workload import Metric
from infopace.policies import _hold_and_anneal

OURS, HELD_OUT, RIVAL = "hold-and-anneal", "hold-and-anneal-held-out", "sgd-cosine"
FREE = f"{OURS}-free-held-out"
_SHOWN = (HELD_OUT, FREE, OURS, RIVAL)
_FEWEST_SEEDS = 3
_STANDARD = {
    "held_out": 0.1,
    "memory": _hold_and_anneal._MEMORY,
    "fewest_held_out": _hold_and_anneal._FEWEST_HELD_OUT,
}
Rows = list[dict[str, Any]]


def held_out_sections() -> str:
    """Both, where they have rows."""
    parts = [beside_the_cosine()]
    if (ROOT / "results" / "policy_held_out.jsonl").exists():
        parts.append(constants(read("policy_held_out")))
    return "\n".join(parts)


def beside_the_cosine() -> str:
    """On every workload that was compared: with held-out rows, without, and the cosine at its best rate."""
    out = []
    for path in sorted((ROOT / "results").glob("compare_*.jsonl")):
        rows = [row for row in read(path.stem) if row["part"] == "test"]
        finals: dict[str, dict[int, float]] = defaultdict(dict)
        epochs: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            if not row["failure"] and row["method"] in _SHOWN:
                finals[row["method"]][row["seed"]] = row["final"]
                epochs[row["method"]].append(len(row["test"]))
        finals = {method: values for method, values in finals.items() if len(values) >= _FEWEST_SEEDS}
        if RIVAL not in finals or not {HELD_OUT, FREE} & set(finals):
            continue
        workload = workload_of(rows)
        live = _live(finals, workload.metric)
        row = [workload.name, str(len(live))]
        for method in _SHOWN:
            if method not in finals:
                row.append("")
                continue
            mean = statistics.fmean(finals[method][seed] for seed in live)
            row.append(f"{workload.metric.show(mean)} in {statistics.fmean(epochs[method]):.1f}")
        for ours in (HELD_OUT, FREE, OURS):
            pairs = [[finals[method][seed] for seed in live] for method in (ours, RIVAL) if method in finals]
            row.append(_p(paired_p(*pairs) if len(pairs) == 2 else None))
        out.append(row)
    head = ["workload", "seeds", "held out", "held out, free", "nothing held out", "cosine, tuned"]
    head += ["p, held out", "p, free", "p, nothing"]
    return section(
        "Rows held out until the rate falls, beside the tuned cosine",
        "the rows of the comparisons above",
        "Final test metric, and in how many epochs; p of the paired t-test between the cosine and each of ours, "
        "without correction. Of uci-temperature the seeds whose output is not dead from the start under SGD."
        f"\n\n{table(head, out)}",
    )


def constants(rows: Rows) -> str:
    """Each constant moved alone."""
    groups: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in rows:
        groups[row["setting"]["workload"], row["setting"]["horizon"]].append(row)
    out = []
    for (name, horizon), some in groups.items():
        metric = workload_of([{"workload": name}]).metric
        by_value: dict[tuple[float, ...], dict[int, Any]] = defaultdict(dict)
        for row in some:
            by_value[tuple(row["setting"][constant] for constant in _STANDARD)][row["setting"]["seed"]] = row
        standard = by_value[tuple(_STANDARD.values())]
        for values, own in by_value.items():
            moved = [
                f"{constant} = {value:g}"
                for (constant, usual), value in zip(_STANDARD.items(), values, strict=True)
                if value != usual
            ]
            finals = [row["test"][-1] for row in own.values()]
            less = [own[seed]["test"][-1] - standard[seed]["test"][-1] for seed in own if seed in standard]
            out.append(
                [
                    name,
                    horizon,
                    *(moved or ["as they are"]),
                    len(own),
                    _with_error(finals, metric, ""),
                    _with_error(less, metric, "+") if moved else "",
                    f"{statistics.fmean(row['epochs'] for row in own.values()):.1f}",
                ]
            )
    head = ["workload", "epochs", "constants", "seeds", "final", "less standard's", "epochs in all"]
    return section(
        "Held-out rows with other constants",
        "`python benchmarks/policies/held_out.py WORKLOAD`",
        "A tenth held out, half of what is known may be memory, a line through three values at least; one of them "
        f"moved at a time, differences paired by seed, with standard errors.\n\n{table(head, out)}",
    )


def _live(finals: dict[str, dict[int, float]], metric: Metric) -> list[int]:
    """The seeds that all have in common, less those with which one of them ends at five times the usual error or more.

    So it is with two of uci-temperature, whose output is dead from the start under SGD, whatever paces it.
    """
    common = set.intersection(*(set(values) for values in finals.values()))
    if metric.higher_is_better:
        return sorted(common)
    usual = statistics.median(value for values in finals.values() for value in values.values())
    return sorted(seed for seed in common if all(values[seed] < 5 * usual for values in finals.values()))


def _with_error(values: list[float], metric: Metric, sign: str) -> str:
    digits = 2 if metric.scale == 100 else 3
    mean = f"{metric.scale * statistics.fmean(values):{sign}.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {metric.scale * statistics.stdev(values) / len(values) ** 0.5:.{digits}f}"


def _p(p: float | None) -> str:
    return "" if p is None else "< .001" if p < 0.001 else f"{p:.2g}"
