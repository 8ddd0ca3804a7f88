"""The section of the results page."""

from __future__ import annotations

import itertools
import statistics

from infopace.lab.compare import holm, interval, paired_p
from studies.shared.page import read, section, table
from studies.shared.paired import grouped

_STEPS = 20_000 // 64


def text() -> str:
    """The same run, measured at four cadences."""
    out = []
    for (signal, horizon), rows in grouped(read("cadence"), "signal", "horizon").items():
        finals = {
            every: {row["setting"]["seed"]: row["test"][-1] for row in some}
            for (every,), some in sorted(grouped(rows, "every").items())
        }
        pairs = list(itertools.combinations(finals, 2))
        tests = [
            paired_p(*([finals[every][seed] for seed in sorted(finals[every])] for every in pair))
            for pair in pairs
        ]
        least = min(p for p in holm(tests) if p is not None)
        for every, values in finals.items():
            low, high = (f"{100 * end:.2f}" for end in interval(list(values.values())) or (0.0, 0.0))
            own = [row for row in rows if row["setting"]["every"] == every]
            out.append(
                [
                    signal,
                    horizon,
                    every,
                    len(values),
                    f"{100 * statistics.fmean(values.values()):.2f}",
                    f"{low} to {high}",
                    f"{statistics.fmean(_held(row) for row in own):.0f}",
                    f"{least:.2f}",
                ]
            )
    head = [
        "signal",
        "planned steps",
        "steps between measurements",
        "seeds",
        "test accuracy, %",
        "95 % interval",
        "steps held",
        "least p of all pairs (Holm)",
    ]
    return section(
        "How often is measured",
        "`python -m studies.cadence.run`",
        "One epoch of 20,000 MNIST digits, 312 steps, under the default rule with held-out examples. All cadences have "
        f"the same seeds.\n\n{table(head, out)}",
    )


def _held(row: dict[str, list[str] | int]) -> int:
    """Steps of the first hold, of the 312."""
    phases, unit = row["phases"], row["unit"]
    assert isinstance(phases, list) and isinstance(unit, int)
    return min(unit * (phases.index("decay") if "decay" in phases else len(phases)), _STEPS)
