"""The section of docs/results.md on rows that are held out until the rate begins to fall, beside the tuned cosine."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict

from infopace.lab.compare import p_text, paired_p
from infopace.lab.workload import Metric
from studies.shared.page import ROOT, read, section, table, workload_of

OURS, HELD_OUT, BASELINE = "hold-and-decay", "hold-and-decay-held-out", "sgd-cosine"
FREE = f"{OURS}-free-held-out"
_SHOWN = (HELD_OUT, OURS, BASELINE)
_FEWEST_SEEDS = 3
_IN_README = ("flipped", "digits", "cifar-plain")
_README = re.compile(r"(<!-- three rows, by studies/results_page.py -->\n).*?(<!-- end -->)", re.DOTALL)


def text() -> str:
    """The section of the results page."""
    rows, same, both = _beside_the_cosine()
    head = ["workload", "seeds", "held out", "nothing held out", "cosine, tuned", "p, held out", "p, nothing"]
    return section(
        "Rows held out until the rate falls, beside the tuned cosine",
        "the rows of the comparisons above",
        "Final test metric, and in how many epochs; p of the paired t-test between the cosine and each of ours, "
        "without correction. Of uci-temperature the seeds whose output is not dead from the start under SGD. "
        f"Without a number of epochs `{FREE}` ends the same in {same} of {both} trainings.\n\n{table(head, rows)}",
    )


def update_readme() -> None:
    """Put three workloads between the two marks in the README: the largest lead, the default, the largest shortfall."""
    path = ROOT / "README.md"
    found = {row[0]: row for row in _beside_the_cosine()[0]}
    rows = [[name, found[name][2], found[name][4], found[name][5]] for name in _IN_README]
    head = ["workload", "default rule, epochs", "tuned cosine, epochs", "p"]
    body = table(head, rows)
    path.write_text(_README.sub(lambda match: f"{match[1]}{body}\n{match[2]}", path.read_text()))


def _beside_the_cosine() -> tuple[list[list[str]], int, int]:
    """A row a workload: with held-out examples, without, and the cosine at its best rate.

    And of how many runs, made with and without a number of epochs, both ended the same.
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
        if not {BASELINE, HELD_OUT} <= set(finals):
            continue
        workload = workload_of(rows)
        live = _live(finals, workload.metric)
        row = [workload.name, str(len(live))]
        for method in _SHOWN:
            if method not in finals:
                row.append("")
                continue
            mean = statistics.fmean(finals[method][seed] for seed in live)
            row.append(f"{workload.metric.show(mean)} in {statistics.fmean(epochs[method]):.1f}")
        for ours in (HELD_OUT, OURS):
            pairs = [
                [finals[method][seed] for seed in live] for method in (ours, BASELINE) if method in finals
            ]
            row.append(p_text(paired_p(*pairs) if len(pairs) == 2 else None))
        out.append(row)
    return out, same, both


def _live(finals: dict[str, dict[int, float]], metric: Metric) -> list[int]:
    """The seeds that all have in common, less those with which one of them ends at five times the usual error or more.

    So it is with two of uci-temperature, whose output is dead from the start under SGD, whatever paces it.
    """
    common = set.intersection(*(set(values) for values in finals.values()))
    if metric.higher_is_better:
        return sorted(common)
    usual = statistics.median(value for values in finals.values() for value in values.values())
    return sorted(seed for seed in common if all(values[seed] < 5 * usual for values in finals.values()))
