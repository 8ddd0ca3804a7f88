"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from infopace.lab.tasks import Metric
from studies.shared.page import read, section, table, workload_of
from studies.shared.paired import Rows

_STANDARD = {"left": 0.5, "lowered": 0.5}


def text() -> str:
    """Tables of the bounds times 1, 2, 4 and 8, of few epochs, and of other constants."""
    rows = read("policy_too_high")
    standard = [row for row in rows if _constants(row) == _STANDARD]
    text = (
        "The default rule as `infopace train` runs it. The bounds are those of the comparison's range test, or a "
        "multiple of them. Or digits runs for few epochs, after a range test that is as short.\n\n"
        "A run collapsed if it diverged, or if it ended at less than half of the accuracy at the tested bounds, or at "
        "more than twice the error. The mean is over the runs that did not diverge.\n\n"
        "Expected before the first run: without roll-back, more and more runs collapse from twice the bounds on. With "
        'it none collapses, and each ends within a point of the tested bounds. "Within a point" is refuted. A learning '
        "rate that is too high also does harm that no single epoch shows, and a rolled-back epoch is missing. In the "
        "first runs information went on falling at lr_top, which is why the rule then holds half of it."
    )
    parts = [text, _table(standard)]
    changed = _changed(rows)
    if changed:
        parts += ["The two constants of the roll-back, at bounds four times too high:", changed]
    return section("Bounds that are too high", "`python -m studies.bounds_too_high.run`", "\n\n".join(parts))


def _table(rows: Rows) -> str:
    groups: dict[tuple[Any, ...], dict[bool, Rows]] = defaultdict(lambda: {True: [], False: []})
    for row in rows:
        setting = row["setting"]
        groups[setting["workload"], setting["times"], setting["epochs"]][setting["roll_back"]].append(row)
    out = []
    for (name, times, epochs), by in groups.items():
        metric = workload_of([{"workload": name}]).metric
        bounds = "as tested" if times == 1 else f"times {times}" if times else f"tested for {epochs} epochs"
        usual = statistics.fmean(row["test"][-1] for row in groups[name, 1, None][True])
        cells = [_cell(by[on], usual, metric) for on in (True, False)]
        rolled_back = statistics.fmean(row["rolled_back"] for row in by[True])
        out.append([name, bounds, len(by[True]), *cells[0], f"{rolled_back:.1f}", *cells[1]])
    head = [
        "workload",
        "bounds",
        "seeds",
        "final",
        "collapsed",
        "epochs rolled back",
        "final, no roll-back",
        "collapsed",
    ]
    return table(head, sorted(out, key=lambda row: (row[0], "for" in row[1])))


def _cell(rows: Rows, usual: float, metric: Metric) -> tuple[str, str]:
    finals = [row["test"][-1] for row in rows if not row["diverged"]]
    collapsed = sum(row["diverged"] or _is_collapsed(row["test"][-1], usual, metric) for row in rows)
    shown = metric.show(statistics.fmean(finals)) if finals else "none"
    return shown, f"{collapsed} of {len(rows)}" if collapsed else "0"


def _is_collapsed(final: float, usual: float, metric: Metric) -> bool:
    return final < 0.5 * usual if metric.higher_is_better else final > 2 * usual


def _constants(row: dict[str, Any]) -> dict[str, float]:
    return {name: row["setting"][name] for name in _STANDARD}


def _changed(rows: Rows) -> str:
    out = []
    for name in dict.fromkeys(row["setting"]["workload"] for row in rows if _constants(row) != _STANDARD):
        metric = workload_of([{"workload": name}]).metric
        own = [r for r in rows if r["setting"]["workload"] == name and r["setting"]["times"] == 4]
        groups: dict[tuple[float, ...], Rows] = defaultdict(list)
        for row in own:
            if row["setting"]["roll_back"]:
                groups[tuple(_constants(row).values())].append(row)
        for (left, lowered), some in sorted(groups.items()):
            finals = metric.show(statistics.fmean(row["test"][-1] for row in some))
            rolled_back = f"{statistics.fmean(row['rolled_back'] for row in some):.1f}"
            out.append([name, f"{left:g}", f"{lowered:g}", len(some), finals, rolled_back])
    head = [
        "workload",
        "share of information left",
        "share of the bounds left",
        "seeds",
        "final",
        "epochs rolled back",
    ]
    return table(head, out) if out else ""
