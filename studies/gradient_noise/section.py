"""The section of the results page."""

from __future__ import annotations

import statistics

from studies.shared.page import read, section, table


def text() -> str:
    """The noise of gradients by epoch, mean over the seeds."""
    rows = read("gradient_noise")
    out = []
    for place, first in enumerate(rows[0]["epochs"]):
        some = [row["epochs"][place] for row in rows]
        values = {name: [one[name] for one in some] for name in ("scale", "participation", "top", "test")}
        mean = {name: statistics.fmean(found) for name, found in values.items()}
        spread = f"{min(values['scale']):.0f} .. {max(values['scale']):.0f}"
        out.append(
            [
                first["epoch"],
                f"{mean['scale']:.0f}",
                spread,
                f"{mean['participation']:.1f}",
                f"{mean['top']:.2f}",
                f"{mean['test']:.3f}",
            ]
        )
    head = ["epoch", "noise scale", "over seeds", "participation", "top share", "test accuracy"]
    blocks = [
        f"On digits-mlp, from the gradients of 300 training examples, mean over {len(rows)} seeds. The noise scale is "
        "tr D / |g|^2, in examples. The participation ratio is the number of directions that the noise fills, of "
        "8,970.",
        table(head, out),
        "Expected: the scale falls and then rises at least tenfold, the participation falls from more than ten "
        "directions to fewer than six, and the top share rises from a tenth to more than a third.",
        "![Noise scale, participation ratio and top share over the epochs of three runs](images/gradient-noise.png)",
    ]
    return section("The noise of gradients", "`python -m studies.gradient_noise.run`", "\n\n".join(blocks))
