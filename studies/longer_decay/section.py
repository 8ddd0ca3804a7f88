"""The section of the results page."""

from __future__ import annotations

import statistics

from infopace.lab.tasks import ACCURACY
from studies.shared.page import read, section, table
from studies.shared.paired import difference, finals_by, mean_with_error


def text() -> str:
    """Decays longer than the hold, with more and more random labels."""
    rows = read("policy_label_noise")
    out = []
    for share in sorted({row["setting"]["share"] for row in rows}):
        some = [row for row in rows if row["setting"]["share"] == share]
        finals = finals_by(some, lambda setting: setting["epochs"])
        shortest, *longer = sorted(finals)
        out.append(
            [
                f"{100 * share:g} %",
                len(finals[shortest]),
                f"{statistics.fmean(row['odds'] for row in some):.1f}",
                mean_with_error(finals[shortest], ACCURACY),
                *(difference(finals[epochs], finals[shortest], ACCURACY) for epochs in longer),
            ]
        )
    ends = sorted({row["setting"]["epochs"] for row in rows})
    head = ["random labels", "seeds", "known / left", f"{ends[0]} epochs", *(f"{end}" for end in ends[1:])]
    text = (
        "noisy-mlp is held for four epochs, then the learning rate decays until the last. Shown are the final "
        "accuracy, and what a longer decay adds to it, in points, paired by seed, with standard errors. Known / "
        "left is J / (H(Y) - J) when the hold ends, J the information about the held-out targets. Expected: with "
        "clean labels a longer decay gains a little. It gains nothing. With one random label in twenty every longer "
        "decay loses."
    )
    return section(
        "Does a longer decay help?", "`python -m studies.longer_decay.run`", f"{text}\n\n{table(head, out)}"
    )
