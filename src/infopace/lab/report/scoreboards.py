"""The section of a scoreboard, from `scoreboard.json` of `infopace compare --suite`: its profiles and its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infopace.lab.report.charts import Axis, Chart, Series
from infopace.lab.report.json_fields import Fields, read_json
from infopace.lab.report.markup import Markup, table
from infopace.pictures import COLOURS

SCOREBOARD_FILE = "scoreboard.json"
# The largest ratio of a profile, as in the score.
_MOST = 4.0


@dataclass(frozen=True)
class ScoredMethod:
    """A method: its area at each target, its ratio to the best and its cost on each workload; None: never reached."""

    name: str
    tuned: bool
    areas: tuple[float | None, ...]
    ratios: tuple[float | None, ...]
    costs: tuple[float | None, ...]


@dataclass(frozen=True)
class Scoreboard:
    """The scores of a suite. `targets` has a line for each workload: the value, and the baseline that set it."""

    suite: str
    seeds: int
    relaxed: tuple[float | None, ...]
    workloads: tuple[str, ...]
    targets: tuple[str, ...]
    methods: tuple[ScoredMethod, ...]

    @classmethod
    def from_folder(cls, folder: Path) -> Scoreboard | None:
        """The scoreboard of a folder, None without any. Raises InputError that names a wrong field."""
        content = read_json(folder / SCOREBOARD_FILE)
        if content is None:
            return None
        fields = Fields(f"{folder / SCOREBOARD_FILE}", content)
        relaxed, workloads = fields.numbers("relaxed"), fields.objects("workloads")
        return cls(
            fields.text("suite"),
            fields.count("seeds", 0),
            relaxed,
            tuple(one.text("name") for one in workloads),
            tuple(f"{one.text('target')} by {one.text('set_by')}" for one in workloads),
            tuple(
                ScoredMethod(
                    one.text("name"),
                    one.flag("tuned", False),
                    one.numbers("areas", (len(relaxed),)),
                    one.numbers("ratios", (len(workloads),)),
                    one.numbers("costs", (len(workloads),)),
                )
                for one in fields.objects("methods")
            ),
        )


def profile_chart(found: Scoreboard) -> Chart:
    """The share of the workloads on which a method needs at most tau times the least cost, by tau."""
    ratios = [ratio for method in found.methods for ratio in method.ratios if ratio is not None]
    taus = sorted({1.0, _MOST, *(ratio for ratio in ratios if ratio <= _MOST)})
    series = tuple(
        Series(
            f"s{place}",
            method.name,
            [_reached(method, tau) for tau in taus],
            step=True,
            dotted=method.tuned,
            colour=place % len(COLOURS),
            dash=place // len(COLOURS),
        )
        for place, method in enumerate(found.methods)
    )
    first = found.methods[0]
    return Chart(
        title="Performance profiles",
        summary=(
            f"Share of {len(found.workloads)} workloads by the allowed cost. {first.name} has the largest area,"
            f" {_shown(first.areas[0])}."
        ),
        x=taus,
        x_axis=Axis("cost over the least cost of all methods"),
        y_axis=Axis("share of workloads", digits=2),
        series=series,
        note="Dotted: tuned baselines, whose tuning is not counted.",
    )


def scoreboard_table(found: Scoreboard) -> Markup:
    """The areas at each target, and the cost of each workload in budgets."""
    relaxed = [f"relaxed by {share:.0%}" if share else "area under the profile" for share in found.relaxed]
    head = ("method", *relaxed, *found.workloads)
    rows = [
        [
            method.name,
            *map(_shown, method.areas),
            *("never" if c is None else f"{c:.2f}" for c in method.costs),
        ]
        for method in found.methods
    ]
    targets = "; ".join(
        f"{name} {target}" for name, target in zip(found.workloads, found.targets, strict=True)
    )
    caption = (
        f"Area under the profile at each target, and the median cost to reach it over {found.seeds} seeds, in budgets."
        f" Targets: {targets}."
    )
    return table(head, rows, caption)


def _reached(method: ScoredMethod, tau: float) -> float:
    return sum(ratio is not None and ratio <= tau for ratio in method.ratios) / len(method.ratios)


def _shown(area: float | None) -> str:
    return "" if area is None else f"{area:.3f}"
