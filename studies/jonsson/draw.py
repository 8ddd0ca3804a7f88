"""Draw test accuracy, its spread and the plane into docs/images/jonsson.png; see README.md"""

from __future__ import annotations

import statistics
from typing import Any

from infopace.pictures import COLOURS, new_figure
from studies.jonsson.run import EPOCHS, HOW, NAME
from studies.jonsson.section import column, how_of, name_of
from studies.shared.page import ROOT
from studies.shared.rows import RESULTS, read


def main() -> None:
    """Draw them."""
    rows = read(RESULTS / f"{NAME}.jsonl")
    figure = new_figure(figsize=(9.6, 6.4))
    (over_time, spread), (plane, legend) = figure.subplots(2, 2, width_ratios=(1.4, 1))
    for place, (how, colour) in enumerate(zip(HOW, COLOURS, strict=True)):
        own = [row for row in rows if how_of(row) == how]
        if not own:
            continue
        style: dict[str, Any] = {"color": colour, "linewidth": 1.3, "label": name_of(how)}
        curve = [100 * statistics.fmean(epoch) for epoch in zip(*(row["test"] for row in own), strict=True)]
        over_time.plot(range(1, len(curve) + 1), curve, **style)
        spread.plot(column(own, "spread"), [place] * len(own), "o", color=colour, alpha=0.8)
        looks = list(zip(*(row["looks"] for row in own), strict=True))
        x = [statistics.fmean(look["nats"]["test"][0] for look in some) for some in looks]
        y = [statistics.fmean(look["labels"] for look in some) for some in looks]
        error = [
            2 * statistics.fmean(look["nats"]["test"][1] ** 2 for look in some) ** 0.5 / len(some) ** 0.5
            for some in looks
        ]
        plane.errorbar(x, y, xerr=error, marker="o", markersize=3, elinewidth=0.7, **style)
        plane.plot(x[-1], y[-1], "o", color=colour, markersize=7)
    over_time.axvspan(EPOCHS - EPOCHS // 3 + 0.5, EPOCHS + 0.5, color="black", alpha=0.05, linewidth=0)
    over_time.set(xlabel="epoch", title="test accuracy, %, mean of the seeds; shaded: the last third")
    spread.set_yticks(range(len(HOW)), [name_of(how) for how in HOW], fontsize=8)
    spread.invert_yaxis()
    spread.set(title="spread over that third, points")
    plane.set(xlabel="I(X; T + N), nats, a lower bound", ylabel="I(T; Y), nats, neighbours")
    plane.set(title="the plane, from the first look to the last (large), test images")
    legend.axis("off")
    legend.legend(*over_time.get_legend_handles_labels(), loc="center", frameon=False, fontsize=9)
    for axes in (over_time, spread, plane):
        axes.title.set_fontsize(9.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "images" / "jonsson.png", dpi=80)


if __name__ == "__main__":
    main()
