"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from infopace.lab.compare import p_text, paired_p
from studies.layer_wise.run import KINDS, NAME, WORKLOADS
from studies.shared.page import read, section, table, workload_of

_GLOBAL = next(iter(KINDS))
_HEAD = [
    "workload",
    "seeds",
    "kind",
    "final",
    "minus global",
    "p",
    "falls a run",
    "failed",
    "processor seconds",
]


def text() -> str:
    """The section of the results page."""
    rows = read(NAME)
    out = []
    for workload in WORKLOADS:
        for kind in KINDS:
            own = [row for row in rows if row["workload"] == workload and row["kind"] == kind]
            base = [row for row in rows if row["workload"] == workload and row["kind"] == _GLOBAL]
            if own:
                out.append(_line(workload, kind, own, base))
    return section(
        "One rate a layer, or one for all",
        "`python -m studies.layer_wise.run`",
        "Runs of `infopace train WORKLOAD` that find their rate in the run. The final test value, the difference "
        "paired by seed, and p of the paired t-test, without correction. A fall: the rule finds that information fell, "
        f"and lowers the rate of a layer.\n\n{table(_HEAD, out)}",
    )


def _line(workload: str, kind: str, rows: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[str]:
    metric = workload_of(rows).metric
    ours, theirs = (
        {row["seed"]: row["test"][-1] for row in some if not row["failure"]} for some in (rows, base)
    )
    seeds = sorted(set(ours) & set(theirs))
    pairs = [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]
    compared = kind != _GLOBAL and bool(seeds)
    difference = statistics.fmean(pairs[0]) - statistics.fmean(pairs[1]) if compared else 0.0
    digits = 2 if metric.scale == 100 else 4
    return [
        workload,
        str(len(rows)),
        kind,
        metric.show(statistics.fmean(ours.values())) if ours else "",
        f"{difference * metric.scale:+.{digits}f}" if compared else "",
        p_text(paired_p(*pairs)) if compared else "",
        f"{statistics.fmean(row['falls'] for row in rows):.1f}",
        str(sum(bool(row["failure"]) for row in rows)),
        f"{statistics.fmean(row['seconds'] for row in rows):.1f}",
    ]
