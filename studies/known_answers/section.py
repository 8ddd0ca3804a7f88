"""The section of the results page."""

from __future__ import annotations

from studies.known_answers.run import covers, flagged, off, summary
from studies.shared.page import read, section, table

STATES = {"before": "before this study", "after": "now"}


def text() -> str:
    """Both halves, before and after, and each task whose interval misses the truth."""
    rows, lines, missed = read("known_answers"), [], []
    for half in ("development", "judging"):
        for label, state in STATES.items():
            found = summary([row for row in rows if row["half"] == half and row["label"] == label])
            cells = [f"{found[key]:.3f}" for key in ("error", "covered", "unflagged covered", "loss")]
            counts = [found["unflagged misses over .3"], found["tasks worse by .05"], found["tasks"]]
            lines.append([half, state, *cells, *counts])
    for row in rows:
        if row["label"] == "after" and not covers(row):
            low, high = row["interval"]
            cells = [f"{row['truth']:.3f}", f"{row['auto']:.3f}", f"{low:.2f} to {high:.2f}"]
            name = f"{row['kind']}: {row['task']}"
            missed.append([row["half"], name, *cells, f"{off(row):.3f}", "yes" if flagged(row) else "no"])
    head = [
        "half",
        "state",
        "mean absolute error",
        "covered",
        "unflagged covered",
        "loss",
        "unflagged misses over .3",
        "tasks worse by .05",
        "tasks",
    ]
    return section(
        "Tasks with known answers",
        "`python -m studies.known_answers.run`",
        "Nats, one sample a task. Loss is the error of `auto` less that of the better of `ksg1` and `gaussian`, on "
        f"pairs of vectors. Nothing was tuned to the tasks for judging.\n\n{table(head, lines)}\n\nWhere the interval "
        "misses the truth now:\n\n"
        + table(["half", "task", "truth", "auto", "interval", "error", "warned"], missed),
    )
