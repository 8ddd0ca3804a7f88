"""The section of the results page."""

from __future__ import annotations

import math
import statistics
from typing import Any

from infopace.lab.compare import p_text, paired_p
from infopace.lab.tasks import Metric
from studies.fair_tuning.run import METHODS, WORKLOADS
from studies.rate_in_the_run.run import NAME
from studies.rate_in_the_run.shapes import DECAYS
from studies.shared.page import percent, read, section, table, workload_of
from studies.tuned_cosine.section import seeds_that_train

_BEFORE, _, _COSINE, _ = METHODS
_LEVEL = 0.05
_HEAD = [
    "workload",
    "seeds",
    "found in the run, in epochs",
    "cosine, tuned",
    "difference",
    "p",
    "default before",
    "p",
    "put back",
]
Rows = list[dict[str, Any]]


def text() -> str:
    """The section of the results page."""
    found = {
        name: rows for name in WORKLOADS if (rows := [row for row in read(NAME) if row["workload"] == name])
    }
    lines = [_beside(name, rows) for name, rows in found.items()]
    runs = [row for rows in found.values() for row in rows]
    scaled = [scale for _, _, scale in lines]
    half = 1.96 * statistics.stdev(scaled) / math.sqrt(len(scaled))
    verdicts = [verdict for _, verdict, _ in lines]
    summary = (
        "Runs that find their learning rate in their first steps (`infopace train WORKLOAD`) beside the runs of the "
        "comparisons above: the cosine at its tuned rate, and the default before, which took a range test. The final "
        "test metric; a difference is the run's minus the cosine's, paired by seed, and p that of the paired t-test, "
        "without correction. Steps that trials put back are a share of the planned ones.\n\n"
        f"{len(runs)} runs on {len(lines)} of {len(WORKLOADS)} workloads; "
        f"{sum(bool(row['failure']) for row in runs)} failed. Significantly (p < {_LEVEL:g}) ahead of the cosine: "
        f"{verdicts.count('ahead')}, behind: {verdicts.count('behind')}. The mean difference over the workloads, in "
        "standard deviations over the cosine's seeds and positive where better, is "
        f"{statistics.fmean(scaled):+.2f} ± {half:.2f}."
    )
    return section(
        "A learning rate found in the run",
        "`python -m studies.rate_in_the_run.run` and `.shapes`",
        "\n\n".join([summary, table(_HEAD, [cells for cells, _, _ in lines]), _shapes()]),
    )


def _beside(name: str, rows: Rows) -> tuple[list[str], str, float]:
    """The cells of a workload, the verdict against the cosine, and the difference in its standard deviations."""
    published = [row for row in read(f"compare_{name}") if row["part"] == "test"]
    metric = workload_of(published).metric
    others = {method: _finals(published, method) for method in (_COSINE, _BEFORE)}
    ours = {row["seed"]: row["test"][-1] for row in rows if not row["failure"]}
    seeds = seeds_that_train({"ours": ours, **others}, metric)
    values = {method: [finals[seed] for seed in seeds] for method, finals in {"ours": ours, **others}.items()}
    difference = statistics.fmean(values["ours"]) - statistics.fmean(values[_COSINE])
    p, before = (paired_p(values["ours"], values[method]) for method in (_COSINE, _BEFORE))
    better = difference if metric.higher_is_better else -difference
    spread = statistics.stdev(others[_COSINE].values())
    verdict = "tie" if p is None or p >= _LEVEL else "ahead" if better > 0 else "behind"
    epochs = statistics.fmean(len(row["test"]) for row in rows)
    put_back = statistics.fmean(row["put_back"] / _planned(row, published) for row in rows)
    digits = 2 if metric.scale == 100 else 4
    cells = [
        name,
        str(len(seeds)),
        f"{_shown(values['ours'], metric)} in {epochs:.1f}",
        _shown(values[_COSINE], metric),
        f"{difference * metric.scale:+.{digits}f}",
        p_text(p),
        _shown(values[_BEFORE], metric),
        p_text(before),
        percent(put_back),
    ]
    return cells, verdict, better / spread


def _planned(row: dict[str, Any], published: Rows) -> float:
    """The planned steps: those of an epoch that holds nothing out, times the planned epochs."""
    return max(row["batches"]) * published[0]["epochs"]


def _finals(rows: Rows, method: str) -> dict[int, float]:
    return {row["seed"]: row["final"] for row in rows if row["method"] == method and not row["failure"]}


def _shown(values: list[float], metric: Metric) -> str:
    return metric.show(statistics.fmean(values))


def _shapes() -> str:
    """How runs at a given rate end under several shapes."""
    rows = read("decay_shapes")
    cases = list(dict.fromkeys(tuple(row["case"]) for row in rows))
    shapes = list(dict.fromkeys((row["hold"], row["decay"]) for row in rows))
    head = [
        "hold, decay",
        *(f"{name}, {optimizer} {lr:g}, seed {seed}" for name, optimizer, seed, lr, _ in cases),
    ]
    lines = []
    for hold, decay in shapes:
        assert decay in DECAYS, "a shape of the study"
        at = {tuple(row["case"]): row["test"] for row in rows if (row["hold"], row["decay"]) == (hold, decay)}
        lines.append([f"{hold:.0%}, {decay}", *(f"{at[case]:.4f}" if case in at else "" for case in cases)])
    return (
        "The final test value at a given rate, after a warm-up of 5 % of the steps, by the share of the hold and the "
        f"shape of the decay after it (accuracy; MAE and cross-entropy, the lower the better):\n\n{table(head, lines)}"
    )
