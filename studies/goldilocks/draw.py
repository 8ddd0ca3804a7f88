"""Draw docs/images/goldilocks.png from results/goldilocks.jsonl; see README.md"""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure

from infopace.pictures import COLOURS, GREY
from studies.goldilocks.section import curvature, steps_by, with_error
from studies.shared.page import ROOT, read


def main() -> None:
    """Draw it."""
    rows = read("goldilocks")
    figure = Figure(figsize=(9.6, 3.4), layout="constrained", facecolor="white")
    ratio, share, steps = figure.subplots(1, 3)
    for workload, colour in zip(("digits-mlp", "digits"), COLOURS, strict=False):
        for by, style in (("multiple", "-"), ("temperature", "--")):
            found = curvature(rows, workload, by)
            label = f"{workload}, {'weights' if by == 'multiple' else '1 / temperature'}"
            for axes, name in ((ratio, "ratio"), (share, "positive")):
                means = [statistics.fmean(row[name] for row in some) for some in found.values()]
                axes.plot(list(found), means, style, color=colour, marker=".", linewidth=1.3, label=label)
    ratio.set_title("Tr(H_d) / |H_d|, d = 30", fontsize=10.5, loc="left")
    share.set_title("share of positive eigenvalues", fontsize=10.5, loc="left")
    share.axhline(0.5, color=GREY, linewidth=0.8)
    ratio.legend(fontsize=7, frameon=False)
    for (rate, label), colour in zip(
        (("tuned", "tuned fixed rate"), ("infopace", "default rule")), COLOURS[2:], strict=False
    ):
        found = {multiple: some for multiple, some in steps_by(rows, rate).items() if len(some) > 1}
        means = [statistics.fmean(some.values()) for some in found.values()]
        errors = [float(with_error(some).partition(" ± ")[2]) for some in found.values()]
        steps.errorbar(
            list(found), means, errors, color=colour, marker=".", linewidth=1.3, capsize=2, label=label
        )
    steps.set_title("steps to 0.95 accuracy, digits-mlp", fontsize=10.5, loc="left")
    steps.set_ylim(bottom=0)
    steps.legend(fontsize=8, frameon=False)
    for axes in (ratio, share, steps):
        axes.set_xscale("log")
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xlabel(
            "multiple of Xavier's weights" if axes is steps else "multiple, or 1 / temperature", fontsize=9
        )
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "images" / "goldilocks.png", dpi=110)


if __name__ == "__main__":
    main()
