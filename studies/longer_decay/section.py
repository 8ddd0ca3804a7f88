"""The section of the results page."""

from __future__ import annotations

import statistics

from infopace.lab.workload import ACCURACY
from studies.shared.page import read, section, table
from studies.shared.paired import (
    difference,
    finals_by,
    mean_with_error,
)


def text() -> str:
    """Anneals longer than the hold, with more and more of the labels random."""
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
    head = ["labels redrawn", "seeds", "known / left", f"{ends[0]} epochs", *(f"{end}" for end in ends[1:])]
    text = (
        "noisy-mlp, held for four epochs and then annealed until the last; final accuracy, and what a longer anneal "
        "adds to it (points, paired by seed, standard errors). Known / left: J / (H(Y) - J) of the held-out rows when "
        "the hold ends, how many times more is known of them than is left to be memorized. Expected was that clean "
        "labels gain a little by a longer anneal: they gain nothing. With a twentieth of them random every longer one "
        "loses, though that ratio is still six."
    )
    return section(
        "May an anneal be longer than the hold?",
        "`python -m studies.longer_decay.run`",
        f"{text}\n\n{table(head, out)}",
    )
