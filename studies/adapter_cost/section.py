"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from studies.shared.page import read, section, table


def text() -> str:
    """What each adapter adds to a step, beside a step of mnist-lenet, and to whole epochs of it."""
    rows, whole = [], []
    for row in read("adapter_cost"):
        if "epoch_s" in row:
            whole.append(_whole(row))
            continue
        added = row["added_us"]
        share = 100 * statistics.median(added) / row["usual_step_us"]
        spread = f"{statistics.median(added):.0f} ({min(added):.0f} to {max(added):.0f})"
        rows.append(
            [
                row["framework"],
                row["pairs"],
                row["step_us"],
                spread,
                f"{share:.2f}",
                f"{100 * row['measuring']:.2f}",
            ]
        )
    head = ["framework", "pairs", "step of one example, µs", "added, µs (least to most)"]
    head += ["of a usual step, %", "a measurement, % of an epoch"]
    return section(
        "What each adapter costs",
        "`python -m studies.adapter_cost.run --pairs 5`",
        "Runs of 600 steps with the adapter and without take turns. A step is one of LeNet on one example, so that "
        "what is added stands out. Shown is the median of the pairs, the measurement left out. Beside it stands a "
        "bare step of mnist-lenet with its own batch size. Time is of a processor that other programs shared."
        f"\n\n{table(head, rows)}"
        f"\n\n{_whole_epochs(whole)}",
    )


WHOLE = ["framework", "pairs", "an epoch, s", "added, % of it (least to most)", "of that the measurement, %"]


def _whole_epochs(rows: list[list[object]]) -> str:
    if not rows:
        return "Whole epochs (`--whole`): not run."
    return (
        "Whole epochs, from `python -m studies.adapter_cost.run --whole --pairs 1`: all of MNIST in batches of "
        "256, with the measurement at the end. Both epochs of a pair run at the same time and take turns batch by "
        f"batch. Shown is the median of the pairs, and the least and the most.\n\n{table(WHOLE, rows)}"
    )


def _whole(row: dict[str, Any]) -> list[object]:
    pairs = list(zip(row["epoch_s"], row["paced_s"], strict=True))
    added = [100 * (paced / without - 1) for without, paced in pairs]
    usual = statistics.median(row["epoch_s"])
    spread = f"{statistics.median(added):.1f} ({min(added):.1f} to {max(added):.1f})"
    measured = 100 * statistics.median(row["measured_s"]) / usual
    return [row["framework"], row["pairs"], f"{usual:.1f}", spread, f"{measured:.2f}"]
