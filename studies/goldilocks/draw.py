"""Draw docs/images/goldilocks.png from results/goldilocks.jsonl; see README.md"""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure

from infopace.pictures import COLOURS, GREY
from studies.goldilocks.section import curvature, steps_by, trained_networks, with_error
from studies.shared.page import ROOT, read


def main() -> None:
    """Draw it."""
    rows = read("goldilocks")
    figure = Figure(figsize=(9.6, 3.7), layout="constrained", facecolor="white")
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
    figure.legend(
        *ratio.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )
    for workload, style in zip(trained_networks(rows), ("-", "--"), strict=False):
        for (rate, label), colour in zip(
            (("tuned", "tuned fixed rate"), ("infopace", "default rule")), COLOURS[2:], strict=False
        ):
            found = {one: some for one, some in steps_by(rows, workload, rate).items() if len(some) > 1}
            means = [statistics.fmean(some.values()) for some in found.values()]
            errors = [float(with_error(some).partition(" ± ")[2]) for some in found.values()]
            drawn = {"color": colour, "linestyle": style, "label": f"{workload}, {label}"}
            steps.errorbar(list(found), means, errors, marker=".", linewidth=1.3, capsize=2, **drawn)
    steps.set_title("steps to 0.95 accuracy", fontsize=10.5, loc="left")
    steps.set_ylim(0, 900)
    steps.legend(fontsize=7, frameon=False)
    for axes in (ratio, share, steps):
        axes.set_xscale("log")
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xlabel(
            "multiple of Xavier's weights" if axes is steps else "multiple, or 1 / temperature", fontsize=9
        )
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    trained = sorted(
        {one for workload in trained_networks(rows) for one in steps_by(rows, workload, "tuned")}
    )
    steps.set_xticks(trained, [f"{one:g}" for one in trained])
    figure.savefig(ROOT / "docs" / "images" / "goldilocks.png", dpi=110)


if __name__ == "__main__":
    main()
