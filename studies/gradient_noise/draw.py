"""Draw docs/images/gradient-noise.png from results/gradient_noise.jsonl; see README.md"""

from __future__ import annotations

from matplotlib.figure import Figure

from infopace.pictures import COLOURS
from studies.shared.page import ROOT, read

PANELS = {
    "scale": "noise scale tr D / |g|^2, examples",
    "participation": "participation ratio, directions",
    "top": "share of the first direction",
}


def main() -> None:
    """Draw it: a line for each seed, and dashed lines for the layers of the first."""
    rows = read("gradient_noise")
    figure = Figure(figsize=(9.6, 3.1), layout="constrained", facecolor="white")
    for place, (axes, (name, title)) in enumerate(zip(figure.subplots(1, 3), PANELS.items(), strict=True)):
        for row in rows:
            epochs = [one["epoch"] for one in row["epochs"]]
            axes.plot(epochs, [one[name] for one in row["epochs"]], color="black", linewidth=1.2, marker=".")
        for layer, colour in zip(rows[0]["epochs"][0]["layers"], COLOURS, strict=False):
            values = [one["layers"][layer][place] for one in rows[0]["epochs"]]
            epochs = [one["epoch"] for one in rows[0]["epochs"]]
            axes.plot(epochs, values, "--", color=colour, linewidth=1.1, label=f"layer {layer}, seed 1")
        axes.set_title(title, fontsize=10.5, loc="left")
        axes.set_xlabel("epoch", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "scale":
            axes.set_yscale("log")
            axes.legend(fontsize=7.5, frameon=False)
    figure.savefig(ROOT / "docs" / "images" / "gradient-noise.png", dpi=110)


if __name__ == "__main__":
    main()
