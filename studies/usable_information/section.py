"""The section of the results page."""

from __future__ import annotations

import statistics

from infopace.lab.compare import holm, interval, paired_p
from studies.shared.page import read, section, table
from studies.shared.paired import finals_by, grouped, mean_with_error, metric_of


def text() -> str:
    """The two signals as guides of the default rule, and where they differ."""
    compared, tests = [], []
    for (workload,), rows in grouped(read("usable_information"), "workload").items():
        # The rule may end a run before its planned epochs.
        finals = finals_by(
            [{**row, "planned": row["epochs"]} for row in rows], lambda setting: setting["signal"]
        )
        seeds = sorted(finals["neighbours"].keys() & finals["usable"].keys())
        ours, theirs = ([finals[signal][seed] for seed in seeds] for signal in ("usable", "neighbours"))
        tests.append(paired_p(ours, theirs))
        compared.append((workload, rows, finals, seeds, ours, theirs))
    out = []
    for (workload, rows, finals, seeds, ours, theirs), p in zip(compared, holm(tests), strict=True):
        metric = metric_of(workload)
        by_signal = {signal: [r for r in rows if r["setting"]["signal"] == signal] for signal in finals}
        between = interval([one - other for one, other in zip(ours, theirs, strict=True)]) or (0.0, 0.0)
        digits = 2 if metric.scale == 100 else 4
        low, high = (f"{metric.scale * end:+.{digits}f}" for end in between)
        own = by_signal["neighbours"]
        out.append(
            [
                workload,
                len(seeds),
                mean_with_error(finals["neighbours"], metric),
                mean_with_error(finals["usable"], metric),
                f"{low} to {high}",
                "" if p is None else f"{p:.2f}",
                " / ".join(
                    f"{statistics.fmean(r['epochs'] for r in some):.1f}" for some in by_signal.values()
                ),
                f"{statistics.fmean(row['neighbours'][-1] for row in own):.2f}",
                f"{statistics.fmean(row['usable'][-1] for row in own):.2f}",
                " / ".join(f"{_measuring(some):.2f}" for some in by_signal.values()),
            ]
        )
    head = [
        "workload",
        "seeds",
        "driven by neighbours",
        "driven by usable information",
        "usable minus neighbours, 95 %",
        "p (Holm)",
        "epochs, each",
        "nats by neighbours at the end",
        "usable nats at the same time",
        "seconds a measurement, each",
    ]
    return section(
        "Neighbour estimate or usable information as the guide",
        "`python -m studies.usable_information.run`",
        "The final test value of the default rule, mean and standard error. Both signals had the same bounds, seeds, "
        "batches and held-out examples. A measurement is that of the probe and of the held-out examples, one thread, "
        "beside other processes. With neighbours usable information is measured too.\n\n"
        f"{table(head, out)}",
    )


def _measuring(rows: list[dict[str, float]]) -> float:
    return statistics.median(row["measuring_seconds"] for row in rows)
