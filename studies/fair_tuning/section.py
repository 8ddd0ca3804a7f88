"""The section of the results page: each verdict as published, and with a fairly tuned cosine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from infopace.lab.compare import Outcome, choose, p_text, paired_p
from infopace.lab.tasks import Metric
from studies.fair_tuning.run import METHODS, NAME, WORKLOADS, counts, key
from studies.shared.page import read, section, table, workload_of
from studies.tuned_cosine.section import seeds_that_train

_OURS, _, _COSINE, _AS_OURS = METHODS
_LEVEL = 0.05
_HEAD = [
    "workload",
    "published: rate",
    "difference",
    "p",
    "three seeds: rate",
    "difference",
    "p",
    "our epochs: epochs, rate",
    "difference",
    "p",
    "verdicts",
]
Rows = list[dict[str, Any]]


def text() -> str:
    """The section of the results page."""
    new = read(NAME)
    done = [name for name in WORKLOADS if any(row["workload"] == name for row in new)]
    rows = [_row(name, [row for row in new if row["workload"] == name]) for name in sorted(done)]
    kept = sum("," not in row[-1] and "instead of" not in row[-1] for row in rows)
    return section(
        "The default rule beside a fairly tuned cosine",
        "`python -m studies.fair_tuning.run`: the rows of the comparisons above, and those of results/fair_tuning.jsonl",
        "The default rule against `sgd-cosine`, three times: at the rate that one tuning seed chose, as published; at the "
        "rate that three seeds chose among the best three of ten; and tuned and run in the same way with as many epochs as "
        "the rule used. A difference is that of the final test metric, the rule minus the cosine, paired by seed. Ahead and "
        f"behind are significant at p < {_LEVEL:g} of the paired t-test, without correction. "
        f"{len(rows)} of {len(WORKLOADS)} workloads are done; on {kept} of them all three verdicts are the same."
        f"\n\n{table(_HEAD, rows)}",
    )


def _row(name: str, new: Rows) -> list[str]:
    published = read(f"compare_{name}")
    metric = workload_of(published).metric
    merged = list(
        {**{key(row): row for row in published if counts(row)}, **{key(row): row for row in new}}.values()
    )
    ours = _finals(published, _OURS, None)
    cosines = [
        _tuned(rows, method, metric)
        for rows, method in ((published, _COSINE), (merged, _COSINE), (new, _AS_OURS))
    ]
    seeds = seeds_that_train(
        {_OURS: ours, **{str(i): finals for i, (_, finals) in enumerate(cosines)}}, metric
    )
    cells, verdicts = [name], []
    for rate, finals in cosines:
        p = paired_p([ours[s] for s in seeds], [finals[s] for s in seeds])
        difference = statistics.fmean(ours[s] - finals[s] for s in seeds)
        cells += [f"{rate:g}", f"{difference * metric.scale:+.{2 if metric.scale == 100 else 4}f}", p_text(p)]
        verdicts.append(_verdict(difference, p, metric))
    epochs = {row["run_epochs"] for row in new if row["method"] == _AS_OURS}
    assert len(epochs) == 1, f"{name} has rows of {_AS_OURS} with several numbers of epochs: {epochs}"
    cells[7] = f"{epochs.pop()}, {cells[7]}"
    return [*cells, _changes(*verdicts)]


def _tuned(rows: Rows, method: str, metric: Metric) -> tuple[float, dict[int, float]]:
    """The rate that the tuning runs choose, and the final values at it."""
    tuning = [Outcome.from_row(row) for row in rows if row["part"] == "tuning" and row["method"] == method]
    lr = choose(tuning, sorted({o.cell.lr for o in tuning if o.cell.lr is not None}), metric).lr
    assert lr is not None, f"no tuning run of {method} has finished"
    return lr, _finals(rows, method, lr)


def _finals(rows: Rows, method: str, lr: float | None) -> dict[int, float]:
    return {
        row["seed"]: row["final"]
        for row in rows
        if row["part"] == "test" and row["method"] == method and row["lr"] == lr and row["final"] is not None
    }


def _verdict(difference: float, p: float | None, metric: Metric) -> str:
    if p is None or p >= _LEVEL:
        return "tie"
    return "ahead" if (difference > 0) == metric.higher_is_better else "behind"


def _changes(published: str, tuned: str, as_ours: str) -> str:
    """The three verdicts in words, with what changed."""
    if published == tuned == as_ours:
        return published
    first = tuned if tuned == published else f"{tuned} instead of {published}"
    return f"{first}, at our epochs {as_ours}"
