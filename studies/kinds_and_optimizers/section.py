"""The section of the results page."""

from __future__ import annotations

from typing import Any

from infopace.lab.tasks import Metric
from infopace.lab.workloads import find_workload
from studies.shared.page import read, section, table

HEAD = [
    "an example has",
    "optimizer",
    "signal",
    "without inputs",
    "untrained",
    "final",
    "epochs",
    "held until step",
    "rates",
    "why the hold ended",
]


def text() -> str:
    """Whether information moves the learning rate for every kind of target and every optimizer."""
    rows = read("kinds_and_optimizers")
    parts = []
    for horizon, title in (("free", "Epochs not planned"), ("known", "Epochs planned")):
        some = [row for row in rows if row["setting"]["horizon"] == horizon]
        if some:
            parts.append(f"{title}:\n\n{table(HEAD, map(_cells, some))}\n\n{_counts(some)}")
    return section(
        "Kinds of targets and optimizers",
        "`python -m studies.kinds_and_optimizers.run`",
        "One run with one seed a cell: an example of what happens, no comparison of optimizers. *Without inputs* is "
        "the best constant prediction. *Signal* is what drives: nearest neighbours, or usable information. *Rates* are "
        "the first one, the one that was held, and the last.\n\n" + "\n\n".join(parts),
    )


def _cells(row: dict[str, Any]) -> list[Any]:
    setting, metric = row["setting"], find_workload(row["workload"]).metric
    begin = [f"{setting['kind']} (`{row['workload']}`)", setting["optimizer"]]
    if "phases" not in row:
        return [*begin, "", metric.show(row["without_inputs"]), *[""] * 5, row["failure"]]
    rates = [row["lr"][0], row["lr"][_held(row) - 1], row["lr"][-1]]
    return [
        *begin,
        row["signal"].partition(":")[0],
        metric.show(row["without_inputs"]),
        metric.show(row["untrained"]),
        metric.show(row["test"][-1]) if row["test"] else "",
        len(row["test"]),
        _held(row) * row["unit"] if _left(row) else "not ended",
        ", ".join(f"{rate:.2g}" for rate in rates),
        row["failure"] or _why(row),
    ]


def _held(row: dict[str, Any]) -> int:
    """The units of time of the first hold; all, where it has not ended."""
    return row["phases"].index("decay") if _left(row) else len(row["phases"])


def _left(row: dict[str, Any]) -> bool:
    return "decay" in row.get("phases", [])


def _why(row: dict[str, Any]) -> str:
    """The reason of the first decision of the decay, without when it began; of the last one where there is none."""
    reason = row["reasons"][_held(row)] if _left(row) else row["reasons"][-1]
    return reason.partition(": ")[2] or reason


def _counts(rows: list[dict[str, Any]]) -> str:
    left = sum(map(_left, rows))
    better = sum(bool(row["test"]) and _is_better(row, find_workload(row["workload"]).metric) for row in rows)
    return (
        f"The hold ended in {left} of {len(rows)} cells. The network is better than the best prediction without inputs "
        f"in {better} of {len(rows)}."
    )


def _is_better(row: dict[str, Any], metric: Metric) -> bool:
    values = [row["without_inputs"], row["test"][-1]]
    return values[0] != values[1] and metric.best(values) == 1
