"""The section of the results page."""

from __future__ import annotations

import math
import statistics

from infopace.lab.compare import p_text, paired_p
from studies.shared.page import read, section, table
from studies.shared.paired import metric_of
from studies.shared.scaled import Finals, Rows, finals, gains, shown, shown_gain, spread_of
from studies.what_drives.drivers import DRIVERS
from studies.what_drives.run import CASES, NAME, SEEDS, SEEDS_OF_CHEAP

_LEVEL = 0.05
_DEFAULT = "information"
_HEAD = ["case", "driver", "seeds", "final", "gain", "in sd", "p", "rate found", "steps", "decay early"]


def text() -> str:
    """The section of the results page."""
    rows = read(NAME)
    lines, scaled = [], {driver: list[float]() for driver in DRIVERS}
    verdicts = {driver: list[str]() for driver in DRIVERS}
    for case in CASES:
        metric = metric_of(case.workload)
        found = {driver: _of(rows, case.name, driver) for driver in DRIVERS}
        default = finals(found[_DEFAULT])
        for driver, own in found.items():
            if not own:
                continue
            these = finals(own)
            compared = [seed for seed in these if seed in default]
            lines.append([case.name, driver, len(own), shown(statistics.fmean(these.values()), metric)])
            if driver == _DEFAULT or not compared:
                spread = spread_of(default)
                sd = "" if math.isnan(spread) else f"sd {shown_gain(spread, metric)[1:]}"
                lines[-1] += ["", sd, "", *_how(own)]
                continue
            better = gains(these, default, metric)
            gain = statistics.fmean(better)
            p = paired_p([these[seed] for seed in compared], [default[seed] for seed in compared])
            scale = gain / spread_of(default)
            in_sd = f"{scale:+.1f}" if math.isfinite(scale) else ""
            lines[-1] += [shown_gain(gain, metric), in_sd, p_text(p), *_how(own)]
            if math.isfinite(scale):
                scaled[driver].append(scale)
            verdicts[driver].append(_verdict(gain, p))
    wanted = sum(len(DRIVERS) * (SEEDS if case.optimizer else SEEDS_OF_CHEAP) for case in CASES)
    summary = (
        f"{len(rows)} of {wanted} runs are made. Each has the same trials, hold, tests and decay, and reads other "
        "numbers. A gain is that over `information`, the default, paired by seed; above 0 is better for every metric. "
        "sd is the standard deviation of the default over the seeds that are there, and p that of the paired t-test; "
        "a case with one seed has none, and counts as a tie. "
        "The rate is the median over seeds. The last column counts runs whose decay began before half of the plan, or "
        "anew, because of overfitting.\n\n" + "\n".join(_lines(scaled, verdicts))
    )
    return section(
        "What drives the rule that finds its rate",
        "`python -m studies.what_drives.run`",
        f"{summary}\n\n{table(_HEAD, lines)}\n\n{_same(rows)}",
    )


def _of(rows: Rows, case: str, driver: str) -> Rows:
    return [row for row in rows if row["case"] == case and row["driver"] == driver]


def _verdict(gain: float, p: float | None) -> str:
    return "tie" if p is None or p >= _LEVEL else "ahead" if gain > 0 else "behind"


def _lines(scaled: dict[str, list[float]], verdicts: dict[str, list[str]]) -> list[str]:
    """A line for each driver but the default."""
    return [
        f"- {driver}: ahead on {verdicts[driver].count('ahead')} cases, tie on {verdicts[driver].count('tie')}, behind "
        f"on {verdicts[driver].count('behind')}; the median gain over cases is {statistics.median(values):+.2f} sd."
        for driver, values in scaled.items()
        if values
    ]


def _how(own: Rows) -> list[str]:
    """The rate, the steps, and how many decays began because of overfitting."""
    rates = [row["rate"] for row in own if row["rate"] is not None]
    early = sum(
        any(phase == "decay" and "half of the" not in reason for _, _, phase, reason in row["moves"])
        for row in own
    )
    rate = f"{statistics.median(rates):.2g}" if rates else ""
    return [rate, f"{statistics.fmean(row['steps'] for row in own):,.0f}", str(early)]


def _same(rows: Rows) -> str:
    """How often another driver found the same rate as the default, and how often the whole run was the same."""
    default = {(row["case"], row["seed"]): row for row in rows if row["driver"] == _DEFAULT}
    parts = []
    for driver in [one for one in DRIVERS if one != _DEFAULT]:
        pairs = [
            (row, default[row["case"], row["seed"]])
            for row in rows
            if row["driver"] == driver and (row["case"], row["seed"]) in default
        ]
        if pairs:
            rates = sum(row["rate"] == other["rate"] for row, other in pairs)
            within = sum(_near(row["rate"], other["rate"]) for row, other in pairs)
            parts.append(f"{driver} in {rates} of {len(pairs)} runs, and within half a decade in {within}")
    return f"The rate that was found is that of information: {'; '.join(parts)}." if parts else ""


def _near(rate: float | None, other: float | None) -> bool:
    return rate is not None and other is not None and abs(math.log10(rate / other)) <= 0.51


def default_of(case: str) -> Finals:
    """The final values of the default by seed, for other studies."""
    return finals(_of(read(NAME), case, _DEFAULT))
