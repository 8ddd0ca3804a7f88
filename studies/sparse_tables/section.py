"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import percent, read, section, table


def text() -> str:
    """Labels against labels: the counts as they are, and `auto`."""
    rows = read("sparse_tables")
    by = {(row["case"], row["n"], row["estimator"]): row for row in rows}
    out = []
    for case, n in dict.fromkeys((row["case"], row["n"]) for row in rows):
        plain, auto = by[case, n, "plug-in"], by[case, n, "auto"]
        errors = (f"{row['mean_absolute_error']:.3f}" for row in (plain, auto))
        covers = (percent(row["coverage"]) for row in (plain, auto))
        out.append([case, n, f"{auto['truth']:.3f}", *errors, *covers, percent(auto["warned"])])
    means = {
        estimator: {
            name: statistics.fmean(row[name] for row in rows if row["estimator"] == estimator)
            for name in ("mean_absolute_error", "coverage")
        }
        for estimator in ("plug-in", "auto")
    }
    said = ", ".join(
        f"{found['mean_absolute_error']:.3f} nats and {percent(found['coverage'])} with `{estimator}`"
        for estimator, found in means.items()
    )
    text = (
        "Labels against labels; ten samples of n examples per case, in nats. `plug-in` takes the counts as they "
        "are, with the Miller-Madow correction. Truth is the known information. Errors are mean absolute errors, "
        f"and coverage is the share of samples whose 95 % interval holds the truth. Over all cases: {said}."
    )
    head = [
        "case",
        "n",
        "truth",
        "error, plug-in",
        "error, auto",
        "coverage, plug-in",
        "coverage, auto",
        "warned, auto",
    ]
    return section(
        "Labels against labels: sparse tables",
        "`python -m studies.sparse_tables.run`",
        f"{text}\n\n{table(head, out)}",
    )
