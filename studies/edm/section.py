"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from infopace.lab.compare import holm, interval, p_text, paired_p
from studies.edm.run import GRID, GROUPS, NAME, NETWORKS, TUNING_SEEDS, ended
from studies.shared.page import section, table
from studies.shared.rows import RESULTS, read

Rows = list[dict[str, Any]]
TITLE, COMMAND = "EDM beside dropout and DeCov", "`python -m studies.edm.run`"
REFERENCE = "none"
HEAD = ["network", "method", "chosen", "seeds", "test, %", "minus none", "95 % interval", "p (Holm)"]
HEAD += ["r² between groups", "rms of the layer"]


def text() -> str:
    """Accuracy of each method, its difference to no term, and the correlation that is left."""
    rows = tested()
    lines = [
        line
        for network in NETWORKS
        for line in _lines([r for r in rows if r["setting"]["network"] == network])
    ]
    beside = " ".join(filter(None, map(_beside, NETWORKS)))
    if not lines:
        return section(TITLE, COMMAND, "No seed is complete yet.")
    return section(
        TITLE,
        COMMAND,
        "1,000 MNIST digits, 40 epochs. The strength of each method was chosen by two seeds apart on "
        f"validation images, from {_grid()}. Shown is the mean accuracy of the last five epochs on 4,000 test "
        "images. Differences are paired by seed; t-tests with Holm's correction over the methods of a network. "
        f"EDM has {GROUPS} groups. r² is between units of different groups on test images, the chance level "
        f"taken off, with the same groups for every method.\n\n{table(HEAD, lines)}\n\n{beside}\n\n![Test "
        "accuracy of each seed by method, and the correlation between groups](images/edm.png)",
    )


def _beside(network: str) -> str:
    """EDM as published minus DeCov, and minus the control that decorrelates nothing."""
    rows = [row for row in tested() if row["setting"]["network"] == network]
    edm, found = finals(rows, "edm, covariances"), list[str]()
    for method in ("decov", "variances alone"):
        other = finals(rows, method)
        seeds = sorted(edm.keys() & other.keys())
        ends = interval([edm[seed] - other[seed] for seed in seeds])
        if ends is not None:
            mean = statistics.fmean(edm[seed] - other[seed] for seed in seeds)
            p = paired_p([edm[seed] for seed in seeds], [other[seed] for seed in seeds])
            found.append(f"minus {method} {mean:+.2f} ({ends[0]:+.2f} to {ends[1]:+.2f}, p {p_text(p)})")
    return f"{network}: EDM with covariances {', '.join(found)}." if found else ""


def tested() -> Rows:
    """The rows of the seeds that count."""
    return [row for row in read(RESULTS / f"{NAME}.jsonl") if row["setting"]["seed"] not in TUNING_SEEDS]


def _grid() -> str:
    grids = dict.fromkeys(tuple(f"{one:g}" for one in grid) for grid in GRID.values() if len(grid) > 1)
    return " or ".join(", ".join(grid) for grid in grids)


def finals(rows: Rows, method: str) -> dict[int, float]:
    """Accuracy in per cent by seed."""
    return {r["setting"]["seed"]: 100 * ended(r) for r in rows if r["setting"]["method"] == method}


def _lines(rows: Rows) -> list[list[Any]]:
    found = {method: finals(rows, method) for method in GRID}
    seeds = sorted(set.intersection(*(set(values) for values in found.values())))
    if not seeds:
        return []
    values = {method: [by_seed[seed] for seed in seeds] for method, by_seed in found.items()}
    others = [method for method in GRID if method != REFERENCE]
    corrected = dict(zip(others, holm([paired_p(values[m], values[REFERENCE]) for m in others]), strict=True))
    lines = []
    for method in GRID:
        own = [row for row in rows if row["setting"]["method"] == method]
        differences = [a - b for a, b in zip(values[method], values[REFERENCE], strict=True)]
        ends = interval(differences)
        compared = [
            f"{statistics.fmean(differences):+.2f}",
            "" if ends is None else f"{ends[0]:+.2f} to {ends[1]:+.2f}",
            p_text(corrected.get(method)),
        ]
        lines.append(
            [
                own[0]["setting"]["network"],
                method,
                f"{own[0]['setting']['strength']:g}" if method != REFERENCE else "",
                len(seeds),
                f"{statistics.fmean(values[method]):.2f}",
                *(["", "", ""] if method == REFERENCE else compared),
                f"{statistics.fmean(row['between'] for row in own):.3f}",
                f"{statistics.fmean(row['rms'] for row in own):.2f}",
            ]
        )
    return lines
