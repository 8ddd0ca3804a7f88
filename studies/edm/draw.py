"""Draw the accuracy and the correlation of each method into docs/images/edm.png; see README.md"""

from __future__ import annotations

from infopace.pictures import COLOURS, GREY, new_figure
from studies.edm.run import GRID, NETWORKS, ended
from studies.edm.section import tested
from studies.shared.page import ROOT


def main() -> None:
    """Draw them."""
    networks = [name for name in NETWORKS if any(row["setting"]["network"] == name for row in tested())]
    figure = new_figure(figsize=(9.6, 2.6 * len(networks)))
    for axes, network in zip(figure.subplots(len(networks), 2, squeeze=False), networks, strict=True):
        rows = [row for row in tested() if row["setting"]["network"] == network]
        for place, (colour, method) in enumerate(zip(COLOURS, GRID, strict=False)):
            own = [row for row in rows if row["setting"]["method"] == method]
            axes[0].plot([100 * ended(row) for row in own], [place] * len(own), "o", color=colour, alpha=0.7)
            axes[1].plot([row["between"] for row in own], [place] * len(own), "o", color=colour, alpha=0.7)
        for one, title in zip(axes, ("test accuracy, %", "r² between groups, less chance"), strict=True):
            one.set_title(f"{network}: {title}", fontsize=9.5, loc="left")
            one.set_yticks(range(len(GRID)), list(GRID))
            one.invert_yaxis()
            one.spines[["top", "right"]].set_visible(False)
            one.grid(axis="y", color=GREY, alpha=0.2)
        axes[1].set_yticklabels([])
    figure.savefig(ROOT / "docs" / "images" / "edm.png", dpi=80)


if __name__ == "__main__":
    main()
