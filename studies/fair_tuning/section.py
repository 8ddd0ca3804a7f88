"""The section of the results page: each verdict as published, and with a fairly tuned cosine."""

from __future__ import annotations

import statistics
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
    done = sorted({row["workload"] for row in new})
    found = [_beside(name, [row for row in new if row["workload"] == name]) for name in done]
    kept = sum(len(set(verdicts)) == 1 for _, verdicts in found)
    return section(
        "The default rule beside a fairly tuned cosine",
        "`python -m studies.fair_tuning.run`: the rows of the comparisons above, and new ones",
        "The default rule against `sgd-cosine`, three times: at the rate that one tuning seed chose, as published; at "
        "the rate that three seeds chose, among the three rates that were best with one; and tuned and run in the same "
        "way with as many epochs as the rule used. A difference is that of the final test metric, the rule minus the "
        f"cosine, paired by seed. Ahead and behind are significant at p < {_LEVEL:g} of the paired t-test, without "
        "correction. "
        f"{len(done)} of {len(WORKLOADS)} workloads are done. On {kept} of them all three verdicts are the same."
        f"\n\n{table(_HEAD, [[*cells, _in_words(*verdicts)] for cells, verdicts in found])}",
    )


def _beside(name: str, new: Rows) -> tuple[list[str], list[str]]:
    """The cells of a workload, and its three verdicts."""
    published = read(f"compare_{name}")
    metric = workload_of(published).metric
    merged = {key(row): row for row in [*(row for row in published if counts(row)), *new]}
    ours = _finals(published, _OURS, None)
    cosines = [
        _tuned(published, _COSINE, metric),
        _tuned(list(merged.values()), _COSINE, metric),
        _tuned(new, _AS_OURS, metric),
    ]
    finals = {_OURS: ours, **{str(i): values for i, (_, values) in enumerate(cosines)}}
    seeds = seeds_that_train(finals, metric)
    (epochs,) = {row["run_epochs"] for row in new if row["method"] == _AS_OURS}
    cells, verdicts = [name], []
    for (rate, theirs), before in zip(cosines, ("", "", f"{epochs}, "), strict=True):
        p = paired_p([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds])
        difference = statistics.fmean(ours[seed] - theirs[seed] for seed in seeds)
        digits = 2 if metric.scale == 100 else 4
        cells += [f"{before}{rate:g}", f"{difference * metric.scale:+.{digits}f}", p_text(p)]
        verdicts.append(_verdict(difference, p, metric))
    return cells, verdicts


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


def _in_words(published: str, tuned: str, as_ours: str) -> str:
    """The three verdicts in words, with what changed."""
    if published == tuned == as_ours:
        return published
    first = tuned if tuned == published else f"{tuned} instead of {published}"
    return f"{first}, at our epochs {as_ours}"
