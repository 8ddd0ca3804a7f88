"""The section of the results page."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from studies.shared.page import read, section, table
from studies.veca.section import Points, constant_runs
from studies.when_to_stop.run import EXAMPLES

SKIPPED = 0.1  # of the epochs, in which nothing stops


def lowest(name: str) -> Callable[[Points], int]:
    """The place of the lowest value, after the first tenth of the epochs."""
    return lambda points: min(_late(points), key=lambda place: points[place][name])


def highest(name: str) -> Callable[[Points], int]:
    """The place of the highest value, after the first tenth of the epochs."""
    return lambda points: max(_late(points), key=lambda place: points[place][name])


RULES: dict[str, Callable[[Points], int]] = {
    "lowest VECA": lowest("veca"),
    "highest normalised VECA": highest("veca_normalised"),
    "lowest VOVU": lowest("vovu"),
    "lowest mean variance": lowest("mean_variance"),
    "highest I(X; T + N), last hidden layer": highest("inputs"),
    "highest I(T; Y), last hidden layer": highest("targets"),
    "highest I(T; Y), output": highest("output"),
    "highest information, held out": highest("held_out"),
    "lowest training loss": lowest("train_loss"),
    "the last epoch": lambda points: len(points) - 1,
    "the first epoch after a tenth": lambda points: _late(points)[0],
}


def within_noise(points: Points) -> int:
    """The first place whose gradient is within its noise, after the first tenth of the epochs; otherwise the last."""
    late = _late(points)
    return next((place for place in late if points[place]["noise_scale"] >= EXAMPLES), late[-1])


# Of the runs that were made again for curvature and gradient noise.
RULES_AGAIN: dict[str, Callable[[Points], int]] = {
    "highest Goldilocks ratio": highest("ratio"),
    "highest noise scale of gradients": highest("noise_scale"),
    "first gradient within its noise": within_noise,
}


def text() -> str:
    """What each rule loses to the best epoch of the run, in points of test accuracy."""
    runs = constant_runs()
    paced: dict[tuple[str, str, float], dict[int, Points]] = {}
    for row in read("veca"):
        if row["method"] == "infopace":
            paced.setdefault((row["task"], row["labels"], row["decay"]), {})[row["seed"]] = row["points"]
    out = [
        [
            name,
            *(
                _cell(some, {seed: points[rule(points)] for seed, points in some.items()})
                for some in runs.values()
            ),
        ]
        for name, rule in RULES.items()
    ]
    again = runs_again()
    for name, rule in RULES_AGAIN.items():
        ran = [again.get(key, {}) for key in runs]
        out.append(
            [
                name,
                *(_cell(some, {seed: points[rule(points)] for seed, points in some.items()}) for some in ran),
            ]
        )
    others = [_cell(some, _by_others(some)) for some in runs.values()]
    out.append(["the epoch that is best on the other seeds", *others])
    ends = [{seed: points[-1] for seed, points in paced.get(key, {}).items()} for key in runs]
    own = [_cell(some, end) for some, end in zip(runs.values(), ends, strict=True)]
    out.append(["infopace, a run of its own", *own])
    best = [
        f"{100 * statistics.fmean(max(point['test'] for point in points) for points in some.values()):.1f} %"
        for some in runs.values()
    ]
    out.append(["best accuracy of a run", *best])
    head = ["stopped at", *(f"{task}, {labels} labels, decay {decay:g}" for task, labels, decay in runs)]
    seeds, of_infopace = (
        " to ".join(str(count) for count in sorted({len(one) for one in found}))
        for found in (runs.values(), ends)
    )
    return section(
        "When to stop",
        "`python -m studies.veca.run` and `python -m studies.when_to_stop.run`",
        "Points of test accuracy that each rule loses to the best measured epoch of the same run at a constant rate. "
        f"In brackets is the mean epoch at which it stops. Means over {seeds} seeds, of infopace over {of_infopace}. "
        "infopace finds its own rate, so it may lose less than nothing. The first epoch after a tenth is the earliest "
        f"at which a rule may stop.\n\n{table(head, out)}",
    )


def runs_again() -> dict[tuple[str, str, float], dict[int, Points]]:
    """As `constant_runs`, with the Goldilocks ratio and the noise of gradients at each point."""
    found: dict[tuple[str, str, float], dict[int, Points]] = {}
    for row in read("when_to_stop"):
        found.setdefault((row["task"], row["labels"], row["decay"]), {})[row["seed"]] = row["points"]
    return found


def _late(points: Points) -> list[int]:
    return [place for place, point in enumerate(points) if point["epoch"] > SKIPPED * points[-1]["epoch"]]


def _by_others(runs: dict[int, Points]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for seed, points in runs.items():
        others = [other for one, other in runs.items() if one != seed]
        if others:
            place = max(
                _late(points), key=lambda place: statistics.fmean(other[place]["test"] for other in others)
            )
            found[seed] = points[place]
    return found


def _cell(runs: dict[int, Points], stopped: dict[int, dict[str, float]]) -> str:
    if not stopped:
        return "not run"
    lost = [
        100 * (max(point["test"] for point in runs[seed]) - stop["test"])
        for seed, stop in stopped.items()
        if seed in runs
    ]
    return (
        f"{statistics.fmean(lost):.1f} ({statistics.fmean(stop['epoch'] for stop in stopped.values()):.0f})"
    )
