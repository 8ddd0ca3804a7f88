"""From outcomes to the line of each method: mean, interval, test against the first, levels, cost of tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from infopace.lab.compare._cells import Outcome
from infopace.lab.compare._statistics import holm, interval, paired_p
from infopace.lab.tasks import Metric

_PAPERS_SEEDS = 3


@dataclass(frozen=True)
class Reached:
    """How many runs reached a level of the test metric, and the mean epoch and seconds at which they did."""

    level: float
    runs: int
    epochs: float | None
    seconds: float | None


@dataclass(frozen=True)
class Line:
    """A method in the table. Numbers are as in rows, and None where there are no runs.

    Attributes:
        method: Its name.
        lr: The learning rate that was chosen, None where there was none to choose.
        n: Number of runs that finished.
        failed: Number of runs that diverged.
        missing: Number of runs that their machine or their code ended.
        mean: Mean of the final test metric.
        interval: 95 % interval of the mean.
        p: Paired test against the first method over their common seeds, after Holm's correction.
        papers: The paper's protocol: the best of three runs (seeds 0, 1, 2), each at its best test epoch.
        epochs: Mean length of a run. A method may stop by itself.
        seconds: Mean duration of a run.
        tuning_seconds: Duration of the search for the learning rate or the bounds.
        tuning_epochs: The same in epochs.
        levels: When the levels of the workload were reached.
        note: What a reader must know, such as why it was not run, or that its rate is at the edge of its grid.
    """

    method: str
    lr: float | None
    n: int
    failed: int
    missing: int
    mean: float | None
    interval: tuple[float, float] | None
    p: float | None
    papers: float | None
    epochs: float | None
    seconds: float | None
    tuning_seconds: float
    tuning_epochs: float
    levels: tuple[Reached, ...]
    note: str


@dataclass(frozen=True)
class Method:
    """A method before its runs are summed up. `missing` counts the lost runs of its tuning or range test."""

    name: str
    lr: float | None
    tuning_seconds: float
    tuning_epochs: float
    note: str
    missing: int = 0


def summarise(
    methods: Sequence[Method],
    outcomes: Mapping[str, Sequence[Outcome]],
    metric: Metric,
    levels: Sequence[float],
) -> list[Line]:
    """The lines of the table, in the order of the methods. The others are tested against the first."""
    finals = {
        m.name: {o.cell.seed: o.final for o in outcomes[m.name] if o.final is not None} for m in methods
    }
    ours = finals[methods[0].name]
    raw: list[float | None] = []
    for m in methods:
        common = sorted(ours.keys() & finals[m.name].keys())
        tested = m is not methods[0]
        raw.append(
            paired_p([ours[s] for s in common], [finals[m.name][s] for s in common]) if tested else None
        )
    return [
        _line(m, outcomes[m.name], list(finals[m.name].values()), p, metric, levels)
        for m, p in zip(methods, holm(raw), strict=True)
    ]


def _line(
    method: Method,
    outcomes: Sequence[Outcome],
    finals: list[float],
    p: float | None,
    metric: Metric,
    levels: Sequence[float],
) -> Line:
    failed = [o for o in outcomes if o.failure and not o.lost]
    lost = [o for o in outcomes if o.lost]
    early = [o.test for o in outcomes if o.cell.seed < _PAPERS_SEEDS and o.test]
    peaks = [test[metric.best(list(test))] for test in early]
    seconds = [sum(o.seconds) for o in outcomes if not o.failure]
    notes = [method.note] if method.note else []
    if failed:
        notes.append(f"{len(failed)} of {len(outcomes)} failed: {failed[0].failure}")
    if lost:
        notes.append(f"incomplete, {len(lost)} of {len(outcomes)} runs are missing: {lost[0].failure}")
    return Line(
        method=method.name,
        lr=method.lr,
        n=len(finals),
        failed=len(failed),
        missing=method.missing + len(lost),
        mean=fmean(finals) if finals else None,
        interval=interval(finals),
        p=p,
        papers=peaks[metric.best(peaks)] if peaks else None,
        epochs=fmean(len(o.test) for o in outcomes if not o.failure) if seconds else None,
        seconds=fmean(seconds) if seconds else None,
        tuning_seconds=method.tuning_seconds,
        tuning_epochs=method.tuning_epochs,
        levels=tuple(_reached(outcomes, level, metric) for level in levels),
        note="; ".join(notes),
    )


def _reached(outcomes: Sequence[Outcome], level: float, metric: Metric) -> Reached:
    epochs, seconds = [], []
    for o in outcomes:
        for epoch, value in enumerate(o.test, 1):
            if value >= level if metric.higher_is_better else value <= level:
                epochs.append(epoch)
                seconds.append(sum(o.seconds[:epoch]))
                break
    return Reached(level, len(epochs), fmean(epochs) if epochs else None, fmean(seconds) if seconds else None)


def report_fields(lines: Sequence[Line], workload: str, metric: Metric, caption: str) -> dict[str, Any]:
    """The comparison for `infopace report`, in the unit of the metric."""

    def shown(value: float | None) -> float | None:
        return None if value is None else value * metric.scale

    return {
        "workload": workload,
        "metric": metric.name,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "baseline": lines[0].method,
        "caption": caption,
        "methods": [
            {
                "method": line.method,
                "n": line.n,
                "mean": shown(line.mean),
                "low": shown(line.interval[0]) if line.interval else None,
                "high": shown(line.interval[1]) if line.interval else None,
                "p": line.p,
                "note": line.note,
            }
            for line in lines
        ],
    }
