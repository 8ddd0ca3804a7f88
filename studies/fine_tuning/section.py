"""The section of the results page."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

from infopace.lab.compare import interval, p_text, paired_p
from infopace.lab.tasks import Metric
from studies.fine_tuning.cases import CASES
from studies.fine_tuning.run import (
    HELD,
    INFOPACE,
    LINEAR,
    MODES,
    NAME,
    STARTS,
    STEPS,
    TUNING_SEED,
    USUAL,
    held_rate,
    tuned,
)
from studies.shared.page import percent, read, section, table

Rows = list[dict[str, Any]]
_HEAD = ["place", "method", "rate", "seeds", "final", "infopace minus it", "95 % interval", "p", "put back"]


def text() -> str:
    """The section of the results page."""
    rows = read(NAME)
    tested = [row for row in rows if row["setting"]["seed"] != TUNING_SEED]
    places = [
        (case, mode)
        for case, mode in itertools.product(CASES, MODES)
        if any((row["setting"]["case"], row["setting"]["mode"]) == (case, mode) for row in tested)
    ]
    lines = [line for place in places for line in _lines(rows, *place)]
    found = [row for row in tested if row["setting"]["method"] == INFOPACE]
    most = max(row["put_back"] for row in found) / STEPS
    summary = (
        f"Pretrained networks, fine-tuned in {STEPS} steps. A run that finds its rate (AdamW made with "
        f"{STARTS[0]:g}, or with {STARTS[1]:g}) beside linear decay with 10 % warm-up at "
        "usual rates and at the best of ten by one run on validation examples. The final test metric: accuracy, or "
        "cross-entropy in nats a character, the lower the better. Differences are the first line's minus a line's; "
        "paired t-tests by seed, without correction. Rates of infopace are those at half of the plan, over seeds. The "
        "plain schedules at the geometric mean of these rates show what the rate costs, and what all else.\n\n"
        f"{len(found)} runs found their rate; trials put back {percent(most)} of the steps at most."
    )
    return section(
        "Fine-tuning", "`python -m studies.fine_tuning.run`", "\n\n".join([summary, table(_HEAD, lines)])
    )


def _lines(rows: Rows, case: str, mode: str) -> list[list[str]]:
    """The lines of a case, fine-tuned in one of the modes."""
    here = [row for row in rows if (row["setting"]["case"], row["setting"]["mode"]) == (case, mode)]
    best, found = tuned(rows, case, mode), held_rate(rows, case, mode)
    names = {
        (INFOPACE, STARTS[0]): f"infopace, from {STARTS[0]:g}",
        (LINEAR, best): "tuned",
        **{(LINEAR, rate): "usual" for rate in USUAL},
        (INFOPACE, STARTS[1]): f"infopace, from {STARTS[1]:g}",
        (HELD, found): "plain hold and decay, at infopace's rate",
    }
    names.setdefault((LINEAR, found), "linear decay, at infopace's rate")
    values = {how: _finals(here, *how) for how in names}
    first = (INFOPACE, STARTS[0])
    lines = []
    for how in names:
        if not values[how]:
            continue
        method, rate = how
        put_back = [row["put_back"] / STEPS for row in here if _of(row, *how)] if method == INFOPACE else []
        lines.append(
            [
                f"{case}, {mode}",
                names[how],
                _rates_held(here, rate) if method == INFOPACE else f"{rate:g}",
                str(len(values[how])),
                CASES[case].task.metric.show(statistics.fmean(values[how].values())),
                *(["", "", ""] if how == first else _beside(values[first], values[how], case)),
                percent(statistics.fmean(put_back)) if put_back else "",
            ]
        )
    return lines


def _of(row: dict[str, Any], method: str, rate: float) -> bool:
    setting = row["setting"]
    return (setting["method"], setting["lr"]) == (method, rate) and setting["seed"] != TUNING_SEED


def _finals(rows: Rows, method: str, rate: float) -> dict[int, float]:
    return {row["setting"]["seed"]: row["test"] for row in rows if _of(row, method, rate)}


def _rates_held(rows: Rows, start: float) -> str:
    """The lowest and the highest rate at half of the plan."""
    own = [row["rates"] for row in rows if _of(row, INFOPACE, start)]
    held = [rates[len(rates) // 2 - 1] for rates in own]
    return f"{min(held):.2g} to {max(held):.2g}"


def _beside(ours: dict[int, float], theirs: dict[int, float], case: str) -> list[str]:
    """The mean difference, its interval, and p, over the seeds of both."""
    metric: Metric = CASES[case].task.metric
    seeds = [seed for seed in ours if seed in theirs]
    differences = [metric.scale * (ours[seed] - theirs[seed]) for seed in seeds]
    digits = 2 if metric.scale == 100 else 4
    ends = interval(differences)
    p = paired_p([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds])
    return [
        f"{statistics.fmean(differences):+.{digits}f}",
        "" if ends is None else " to ".join(f"{end:+.{digits}f}" for end in ends),
        p_text(p),
    ]
