"""The section of the results page."""

from __future__ import annotations

import math
import statistics
from collections import Counter

from studies.constants_in_the_run.constants import CHANGES
from studies.constants_in_the_run.replay import CAN_REPLAY
from studies.constants_in_the_run.run import NAME, same_as_default
from studies.shared.in_the_run import DEVELOPED
from studies.shared.page import read, section, table
from studies.shared.paired import metric_of
from studies.shared.scaled import Rows, finals, gains, shown, shown_gain, spread_of
from studies.what_drives.section import default_of

_SEEDS = 3
# The difference of two single runs has a standard deviation of sqrt(2) without any effect.
_CLEAR = 3.0


def text() -> str:
    """Each constant moved alone, on five workloads."""
    rows, same = read(NAME), same_as_default()
    for key, row in same.items():
        case, constant, value, seed = key
        named = {"case": case, "constant": constant, "value": value, "seed": seed, "same": True}
        rows.append({**row, **named})
    defaults = {case.name: default_of(case.name) for case in DEVELOPED}
    head = ["constant", "moved to", *(case.workload for case in DEVELOPED)]
    lines: list[list[str]] = [["default", ""]]
    for case in DEVELOPED:
        metric, default = metric_of(case.workload), defaults[case.name]
        sd = metric.scale * spread_of(default)
        value = shown(statistics.fmean(default.values()), metric) if default else ""
        lines[0].append(value if math.isnan(sd) else f"{value}, sd {sd:.2g}, {len(default)} seeds")
    worst: dict[str, tuple[float, str]] = {}
    for change in CHANGES:
        lines.append([change.constant, change.value])
        for case in DEVELOPED:
            own = _of(rows, case.name, change.constant, change.value)
            cell, scale = _cell(own, case.name, defaults[case.name])
            lines[-1].append(cell)
            if scale is not None:
                where = f"{case.workload} at {change.value}"
                worst[change.constant] = min(worst.get(change.constant, (math.inf, "")), (scale, where))
    missing = Counter(
        change.constant
        for change in CAN_REPLAY
        for case in DEVELOPED
        for seed in defaults[case.name]
        if not any(row["seed"] == seed for row in _of(rows, case.name, change.constant, change.value))
    )
    wanted = _SEEDS * len(CHANGES) * len(DEVELOPED)
    summary = (
        f"{len(rows)} of {wanted} runs are known; the default is that of the section before. {len(same)} of them were "
        "not made, because no decision would have been another: the constant was asked beside the default at each "
        "decision of the default's run, so the run is the same bit for bit (0). A cell is the final test value, and in "
        "brackets by how many seed standard deviations of the default it is better (+) or worse, paired by seed, with "
        "the number of seeds where it is more than one. Where the default has one seed, the brackets have the gain in "
        "the unit of the metric. Without any effect the difference of two single runs has a "
        f"standard deviation of 1.4, so less than {_CLEAR:.0f} says little."
    )
    largest = table(
        ["constant", "largest loss, in sd", "where", "says something", "not made of the runs that it alters"],
        [
            [name, f"{scale:+.1f}", where, "yes" if scale <= -_CLEAR else "no", missing.get(name, 0)]
            for name, (scale, where) in worst.items()
        ],
    )
    return section(
        "The constants of the rule that finds its rate",
        "`python -m studies.constants_in_the_run.run`",
        f"{summary}\n\n{largest}\n\n{table(head, lines)}",
    )


def _of(rows: Rows, case: str, constant: str, value: str) -> Rows:
    return [row for row in rows if (row["case"], row["constant"], row["value"]) == (case, constant, value)]


def _cell(own: Rows, case: str, default: dict[int, float]) -> tuple[str, float | None]:
    """The final value with its gain, and the gain in standard deviations; nothing without a run."""
    if not own:
        return "", None
    metric, these = metric_of(case.partition(",")[0]), finals(own)
    value = statistics.fmean(these.values())
    if math.isnan(value):
        return "failed", -math.inf
    better = gains(these, default, metric)
    if all(row.get("same") for row in own):
        return ("0" if len(own) == len(default) else f"0 ({len(own)} of {len(default)} seeds)"), 0.0
    if not better or not spread_of(default) > 0:
        gain = f" ({shown_gain(better[0], metric)})" if len(better) == 1 else ""
        return f"{shown(value, metric)}{gain}", None
    scale = statistics.fmean(better) / spread_of(default)
    seeds = f", {len(better)} seeds" if len(better) > 1 else ""
    return f"{shown(value, metric)} ({scale:+.1f}{seeds})", scale
