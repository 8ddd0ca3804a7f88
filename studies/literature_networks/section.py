"""The section of the results page."""

from __future__ import annotations

from typing import Any

from infopace.lab.compare import FIRST_TUNING_SEED, interval, p_text, paired_p
from studies.literature_networks.run import BASELINE_OF, NAME, OURS
from studies.shared.page import read, section, table, workload_of
from studies.shared.rows import RESULTS
from studies.shared.rows import read as rows_of
from studies.tuned_cosine.comparisons import lines_of

_HEAD = [
    "workload",
    "seeds",
    "default rule",
    "95 % interval",
    "cosine, tuned",
    "95 % interval",
    "rate",
    "difference",
    "95 % interval",
    "p",
    "tuning, epochs",
    "a run, epochs",
]
Rows = list[dict[str, Any]]


def text() -> str:
    """The section of the results page."""
    rows = rows_of(RESULTS / f"{NAME}.jsonl")
    found = {name: some for name in BASELINE_OF if (some := [row for row in rows if row["workload"] == name])}
    missing = [name for name in BASELINE_OF if name not in found]
    not_run = f" Not run: {', '.join(missing)}." if missing else ""
    lines = ""
    if found:
        lines = f"\n\n{table(_HEAD, [_line(name, some) for name, some in found.items()])}"
    scoreboard = "" if "movie-polarity" in found else f"\n\n{_from_scoreboard()}"
    return section(
        "Networks of the literature",
        "`python -m studies.literature_networks.run`, which runs `infopace compare` on each workload",
        "The final test accuracy in per cent, of the default rule and of a cosine with a warm-up, over SGD on "
        "spike-mnist and over AdamW elsewhere. The cosine is tuned over ten rates with one tuning seed, and over the "
        "best three with two more. The difference is the rule minus the cosine, paired by seed, and p that of the "
        f"paired t-test, without correction. Intervals are Student's.{not_run}{lines}{scoreboard}",
    )


def _from_scoreboard() -> str:
    """What the scoreboard has of movie-polarity: a tenth of its sentences scores a run there and is not trained on."""
    rows = [row for row in read("scoreboard") if row["workload"] == "movie-polarity" and not row["failure"]]
    ours = {row["seed"]: row["test"][-1] for row in rows if row["method"] == f"{OURS}-adamw"}
    tuned = [row for row in rows if row["method"] == f"{BASELINE_OF['movie-polarity']}-tuned"]
    theirs = {row["seed"]: row["test"][-1] for row in tuned if row["seed"] < FIRST_TUNING_SEED}
    rates = {row["lr"] for row in tuned if row["seed"] < FIRST_TUNING_SEED}
    tried = {row["lr"] for row in tuned}
    shown = [
        ", ".join(f"{100 * value:.2f} (seed {seed})" for seed, value in sorted(values.items()))
        for values in (ours, theirs)
    ]
    return (
        "Of movie-polarity the [scoreboard](#methods-without-tuning) has runs with the same two methods, which set a "
        f"tenth of the sentences aside. The default rule: {shown[0]}. The cosine at "
        f"{', '.join(f'{lr:g}' for lr in sorted(rates))}, the best of {len(tried)} rates: {shown[1]}."
    )


def _line(name: str, rows: Rows) -> list[str]:
    metric = workload_of(rows).metric
    finals = {
        method: {
            row["seed"]: row["final"] for row in rows if row["part"] == "test" and row["method"] == method
        }
        for method in (OURS, BASELINE_OF[name])
    }
    ours, theirs = finals.values()
    seeds = sorted(set(ours) & set(theirs))
    lines = {line.method: line for line in lines_of(rows)}
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    mean = sum(differences) / len(differences)
    cosine = lines[BASELINE_OF[name]]
    shown = [
        cell
        for method in finals
        for cell in (
            metric.show(lines[method].mean or 0.0),
            _interval(list(finals[method].values()), metric.scale),
        )
    ]
    return [
        name,
        str(len(seeds)),
        *shown,
        f"{cosine.lr:g}",
        f"{mean * metric.scale:+.2f}",
        _interval(differences, metric.scale),
        p_text(paired_p([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds])),
        f"{cosine.tuning_epochs:.0f}",
        f"{rows[0]['epochs']}",
    ]


def _interval(values: list[float], scale: float) -> str:
    ends = interval(values)
    return "" if ends is None else " to ".join(f"{end * scale:.2f}" for end in ends)
