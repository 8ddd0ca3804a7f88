"""Draw docs/images/momentum-decay.png from results/momentum_decay.jsonl; see README.md"""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure

from infopace.pictures import COLOURS
from studies.momentum_decay.section import pairs
from studies.shared.page import ROOT


def main() -> None:
    """Draw it: a column for each workload, the learning rate that the optimizer has and the test accuracy."""
    found = pairs()
    figure = Figure(figsize=(4.8 * len(found), 4.4), layout="constrained", facecolor="white")
    axes = figure.subplots(2, len(found), sharex="col", squeeze=False, height_ratios=(1, 1.5))
    for column, (workload, kinds) in enumerate(found.items()):
        rate, test = axes[0][column], axes[1][column]
        seeds = sorted(kinds[0].keys() & kinds[1].keys())
        for runs, label, colour, style in zip(
            kinds, ("rate falls", "momentum falls"), COLOURS, ("-", "--"), strict=False
        ):
            some = [runs[seed] for seed in seeds]
            epochs = range(1, len(some[0]["test"]) + 1)
            rate.plot(epochs, some[0]["lr"], style, color=colour, linewidth=1.5, label=label)
            values = list(zip(*(row["test"] for row in some), strict=True))
            test.plot(
                epochs, list(map(statistics.fmean, values)), style, color=colour, linewidth=1.5, label=label
            )
            test.fill_between(
                epochs, list(map(min, values)), list(map(max, values)), color=colour, alpha=0.12, linewidth=0
            )
        rate.set_yscale("log")
        rate.set_title(f"{workload}: learning rate", fontsize=10.5, loc="left")
        test.set_title(f"test accuracy, mean and range of {len(seeds)} seeds", fontsize=10.5, loc="left")
        test.set_ylim(bottom=max(min(row["test"][2] for row in kinds[0].values()) - 0.02, 0))
        test.set_xlabel("epoch", fontsize=9)
        rate.legend(fontsize=8, frameon=False)
        for one in (rate, test):
            one.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "images" / "momentum-decay.png", dpi=110)


if __name__ == "__main__":
    main()
