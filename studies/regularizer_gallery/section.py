"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from studies.regularizer_gallery.run import NAME
from studies.regularizer_gallery.terms import TERMS
from studies.shared.page import read, section, table

Rows = list[dict[str, Any]]
HEAD = [
    "term",
    "beta",
    "value",
    "null value",
    "I(X; T + N), nats",
    "I(T; Y), nats",
    "r² between groups",
    "test",
]


def complete() -> Rows:
    """The rows of the seeds that every term has at every beta."""
    rows = read(NAME)
    wanted = sum(len(shown.betas) for shown in TERMS.values())
    counts = Counter(row["setting"]["seed"] for row in rows)
    return [row for row in rows if counts[row["setting"]["seed"]] == wanted]


def text() -> str:
    """What each term does at each beta: means over seeds at the end of training."""
    rows = complete()
    lines: list[list[Any]] = []
    for name, shown in TERMS.items():
        for beta in shown.betas:
            own = [row for row in rows if (row["setting"]["term"], row["setting"]["beta"]) == (name, beta)]
            if not own:
                continue
            nulls = [row["null"][-1] for row in own if row["null"][-1] is not None]
            lines.append(
                [
                    shown.title,
                    f"{beta:g}",
                    f"{statistics.fmean(row['value'][-1] for row in own):.3g}",
                    f"{statistics.fmean(nulls):.2g}" if nulls else "",
                    f"{statistics.fmean(row['inputs'][0] for row in own):.2f}",
                    f"{statistics.fmean(row['targets'] for row in own):.2f}",
                    f"{statistics.fmean(row['between'] for row in own):.3f}",
                    f"{100 * statistics.fmean(row['test'][-1] for row in own):.1f}",
                ]
            )
    seeds = len({row["setting"]["seed"] for row in rows})
    return section(
        "The terms of the gallery",
        "`python -m studies.regularizer_gallery.run`",
        "Each term in the loss of a small network on digits, for Cauchy-Schwarz on Friedman's function. Means "
        f"at the end of training; seeds: {seeds}. The value and its null are of test examples. I(X; T + N) "
        "is measured by a new critic, a lower bound, with the same noise for every term. A negative beta keeps "
        f"the term large. Test: accuracy, or 100 R².\n\n{table(HEAD, lines)}",
    )
