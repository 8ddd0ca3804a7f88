"""Draw each term into docs/images, from results/regularizer_gallery.jsonl; see README.md"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infopace.pictures import COLOURS, GREY, new_figure
from studies.regularizer_gallery.section import complete
from studies.regularizer_gallery.terms import TERMS, Shown
from studies.shared.page import ROOT

Rows = list[dict[str, Any]]


def main() -> None:
    """Draw them."""
    rows = complete()
    for name, shown in TERMS.items():
        own = [row for row in rows if row["setting"]["term"] == name]
        path = ROOT / "docs" / "images" / f"regularizer-{name}.png"
        draw(shown, own).savefig(path, dpi=80)


def draw(shown: Shown, rows: Rows) -> Figure:
    """The value over training beside its null, what is left at each beta, and the test score."""
    figure = new_figure(figsize=(9.6, 2.9))
    figure.suptitle(shown.title, x=0.01, ha="left", fontsize=11)
    over_time, left, score = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    for colour, beta in zip(COLOURS, shown.betas, strict=False):
        own = [row for row in rows if row["setting"]["beta"] == beta]
        for number, row in enumerate(own):
            label = f"{weight(shown)} = {abs(beta):g}" if number == 0 else None
            epochs = range(1, len(row["value"]) + 1)
            over_time.plot(epochs, row["value"], color=colour, linewidth=1.4, label=label)
            if row["null"][0] is not None:
                over_time.plot(epochs, row["null"], color=colour, linewidth=0.9, linestyle=(0, (1, 2)))
    over_time.axhline(0, color=GREY, linewidth=0.7)
    over_time.set(xlabel="epoch", ylabel=f"value, {shown.unit}")
    if shown.log:
        over_time.set_yscale("symlog", linthresh=1)
    over_time.set_title("value on test examples; dotted: null", fontsize=9, loc="left")
    over_time.legend(fontsize=7.5, frameon=False)
    what, measure = MEASURES[shown.measured]
    points(left, shown, rows, measure)
    left.set_title(what, fontsize=9, loc="left")
    points(score, shown, rows, lambda row: row["test"][-1])
    score.set_title("test accuracy" if shown.task == "digits" else "test R²", fontsize=9, loc="left")
    for axes in (over_time, left, score):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


MEASURES: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "inputs": ("left of I(X; T + N), nats", lambda row: row["inputs"][0]),
    "targets": ("I(T; Y) of test examples, nats", lambda row: row["targets"]),
    "between": ("r² between groups, less chance", lambda row: row["between"]),
}


def points(axes: Axes, shown: Shown, rows: Rows, of: Callable[[dict[str, Any]], float]) -> None:
    """Each seed as a point at its beta, and a line through the means; the betas are evenly apart."""
    by_beta = [[row for row in rows if row["setting"]["beta"] == beta] for beta in shown.betas]
    found = [[of(row) for row in some] for some in by_beta if some]
    for place, (colour, values) in enumerate(zip(COLOURS, found, strict=False)):
        axes.plot([place] * len(values), values, "o", color=colour, markersize=4)
    axes.plot(range(len(found)), [statistics.fmean(values) for values in found], color=GREY, linewidth=1)
    axes.set_xticks(range(len(found)), [f"{abs(beta):g}" for beta in shown.betas])
    axes.set_xlabel(weight(shown), fontsize=9)


def weight(shown: Shown) -> str:
    """What the paper's formula calls the weight: gamma where the term is kept large."""
    return "gamma" if shown.betas[-1] < 0 else "beta"


if __name__ == "__main__":
    main()
