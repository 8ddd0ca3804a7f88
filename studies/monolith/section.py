"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from infopace.lab.compare import interval, p_text, paired_p
from studies.monolith.run import BY_BLOCKS, EQUAL_EPOCHS, EQUAL_WORK, NAME, RULE, TUNING
from studies.shared.page import section, table
from studies.shared.rows import RESULTS, read

_HEAD = [
    "way",
    "seeds",
    "test accuracy, %",
    "95 % interval",
    "minus block by block",
    "95 % interval",
    "p",
    "epochs",
    "work",
    "seconds",
]
_STAGES = ["after", "test accuracy, %", "95 % interval", "epochs", "held-out nats, first to last", "work"]
Rows = list[dict[str, Any]]


def text() -> str:
    """The section of the results page."""
    rows = read(RESULTS / f"{NAME}.jsonl")
    ways = {
        way: {row["setting"]["seed"]: row for row in rows if row["setting"]["way"] == way}
        for way in (BY_BLOCKS, RULE, EQUAL_EPOCHS, EQUAL_WORK)
    }
    tuning = "; ".join(
        f"{row['setting']['lr']:g}: {100 * row['test'][-1]:.2f} %"
        for row in rows
        if row["setting"]["way"] == TUNING
    )
    tuning = f" The cosine at {tuning}; the best is taken." if tuning else ""
    tables = "Not run."
    if ways[BY_BLOCKS]:
        lines = [_line(way, of_way, ways[BY_BLOCKS]) for way, of_way in ways.items() if of_way]
        stages = table(_STAGES, _stages(list(ways[BY_BLOCKS].values())))
        tables = f"{table(_HEAD, lines)}\n\nThe stages of block by block:\n\n{stages}"
    return section(
        "Training block by block",
        "`python -m studies.monolith.run`",
        "A ResNet-8 on 1,500 images of CIFAR-10, halved to 16 x 16: each block with a proxy head until information "
        "about held-out examples ends its stage, then all together; and three ways end to end. An epoch is a pass over "
        "the training images, trials included. Work is floating-point operations, in epochs end to end, with what is "
        "spent on measuring and on the outputs that are kept. Intervals are Student's, p is that of the paired t-test "
        f"against block by block, without correction.{tuning}\n\n{tables}",
    )


def _line(way: str, rows: dict[int, Any], blocks: dict[int, Any]) -> list[str]:
    seeds = sorted(set(rows) & set(blocks))
    finals, ours = ([100 * some[seed]["test"][-1] for seed in seeds] for some in (rows, blocks))
    differences = [final - other for final, other in zip(finals, ours, strict=True)]
    beside = ["", "", ""]
    if way != BY_BLOCKS:
        mean = statistics.fmean(differences)
        beside = [f"{mean:+.2f}", _interval(differences), p_text(paired_p(finals, ours))]
    of_mean = (
        f"{statistics.fmean(rows[seed][what] for seed in seeds):.1f}"
        for what in ("epochs", "work", "seconds")
    )
    return [
        way,
        str(len(seeds)),
        f"{statistics.fmean(finals):.2f}",
        _interval(finals),
        *beside,
        *of_mean,
    ]


def _stages(rows: Rows) -> list[list[str]]:
    out = []
    total = sum(stage["work"] for row in rows for stage in row["stages"])
    for i in range(len(rows[0]["test"])):
        tests = [100 * row["test"][i] for row in rows]
        cells = [f"{statistics.fmean(tests):.2f}", _interval(tests)]
        if i < len(rows[0]["stages"]):
            stages = [row["stages"][i] for row in rows]
            nats = ", ".join(f"{one['held_out'][0]:.2f} to {one['held_out'][-1]:.2f}" for one in stages)
            share = sum(one["work"] for one in stages) / total
            epochs = ", ".join(str(one["epochs"]) for one in stages)
            out.append([f"block {i + 1}", *cells, epochs, nats, f"{share:.0%} of the stages"])
        else:
            left = [row["epochs"] - sum(one["epochs"] for one in row["stages"]) for row in rows]
            out.append(["all together", *cells, str(left[0]), "", ""])
    return out


def _interval(values: list[float]) -> str:
    ends = interval(values)
    return "" if ends is None else " to ".join(f"{end:.2f}" for end in ends)
