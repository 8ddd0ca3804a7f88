"""The section of the results page."""

from __future__ import annotations

import statistics
from collections import defaultdict

from infopace.lab.compare import p_text, paired_p
from infopace.lab.tasks import Metric
from studies.shared.page import ROOT, read, section, table, workload_of

OURS, HELD_OUT, COSINE = "hold-and-decay", "hold-and-decay-held-out", "sgd-cosine"
FREE = f"{OURS}-free-held-out"
_SHOWN = (HELD_OUT, OURS, COSINE)
_FEWEST_SEEDS = 3


def text() -> str:
    """The section of the results page."""
    rows, same, both = _beside_the_cosine()
    head = [
        "workload",
        "seeds",
        "default rule",
        "no held-out examples",
        "cosine, tuned",
        "p, default rule",
        "p, no held-out examples",
    ]
    return section(
        "The default rule beside a tuned cosine",
        "the rows of the comparisons above",
        "The final test metric, and after how many epochs. The default rule holds a tenth of the training examples out "
        "until the decay begins. p is that of the paired t-test against the cosine, without correction. On "
        "uci-temperature two seeds are left out, whose output is constant from the start under SGD. Without a planned "
        f"number of epochs, `{FREE}` ends the same in {same} of {both} runs.\n\n{table(head, rows)}",
    )


def _beside_the_cosine() -> tuple[list[list[str]], int, int]:
    """A row per workload: with held-out examples, without, and the cosine at its best learning rate.

    Also how many runs were made both with and without a planned number of epochs, and how many of them ended the same.
    """
    out, same, both = [], 0, 0
    for path in sorted((ROOT / "results").glob("compare_*.jsonl")):
        rows = [row for row in read(path.stem) if row["part"] == "test"]
        finals: dict[str, dict[int, float]] = defaultdict(dict)
        epochs: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            if not row["failure"] and row["method"] in (*_SHOWN, FREE):
                finals[row["method"]][row["seed"]] = row["final"]
                epochs[row["method"]].append(len(row["test"]))
        free = finals.pop(FREE, {})
        pairs = [(final, finals[HELD_OUT][seed]) for seed, final in free.items() if seed in finals[HELD_OUT]]
        both, same = both + len(pairs), same + sum(a == b for a, b in pairs)
        finals = {method: values for method, values in finals.items() if len(values) >= _FEWEST_SEEDS}
        if not {COSINE, HELD_OUT} <= set(finals):
            continue
        workload = workload_of(rows)
        seeds = seeds_that_train(finals, workload.metric)
        row = [workload.name, str(len(seeds))]
        for method in _SHOWN:
            if method not in finals:
                row.append("")
                continue
            mean = statistics.fmean(finals[method][seed] for seed in seeds)
            row.append(f"{workload.metric.show(mean)} in {statistics.fmean(epochs[method]):.1f}")
        for ours in (HELD_OUT, OURS):
            pairs = [
                [finals[method][seed] for seed in seeds] for method in (ours, COSINE) if method in finals
            ]
            row.append(p_text(paired_p(*pairs) if len(pairs) == 2 else None))
        out.append(row)
    return out, same, both


def seeds_that_train(finals: dict[str, dict[int, float]], metric: Metric) -> list[int]:
    """The seeds that all methods have, without those where one ends at five times the usual error or more.

    Two seeds of uci-temperature are such: under SGD their output is constant from the start at every learning rate.
    """
    common = set.intersection(*(set(values) for values in finals.values()))
    if metric.higher_is_better:
        return sorted(common)
    usual = statistics.median(value for values in finals.values() for value in values.values())
    return sorted(seed for seed in common if all(values[seed] < 5 * usual for values in finals.values()))
