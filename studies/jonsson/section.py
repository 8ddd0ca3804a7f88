"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from infopace.lab.compare import holm, interval, p_text, paired_p
from studies.jonsson.run import EPOCHS, HOW_OF, IMAGES_OF, LARGE, NAME
from studies.shared.page import section, table
from studies.shared.rows import RESULTS, read

Rows = list[dict[str, Any]]
HEAD = ["in the loss", "seeds", "test, mean of the last third, %", "its spread over epochs, points"]
HEAD += ["accuracy minus noise alone", "p (Holm)", "spread minus noise alone", "p (Holm)"]
HEAD += ["I(X; T + N), nats", "null value", "term at the end, nats"]
TITLE, COMMAND = "Jonsson's terms on a small VGG", "`python -m studies.jonsson.run`"
CONTROL = ("noise", 0.0)  # beta = 0 with equal noise


def text() -> str:
    """Mean and spread of test accuracy over the last third of the epochs, and the information that is left."""
    return section(
        TITLE,
        COMMAND,
        f"A narrow VGG on CIFAR-10 images for {EPOCHS} epochs without augmentation. The spread is "
        "the standard deviation of test accuracy over the last third of the epochs, the mean of the seeds. "
        "Differences are paired by seed, with 95 % intervals; t-tests with Holm's correction over the lines. "
        "I(X; T + N) is the mean over batches of test images by a new critic after the last epoch, with the "
        "same noise for every line. The last column is the term itself on training batches, averaged over the "
        f"last epoch.\n\n{_of(NAME)}\n\n{_of(LARGE)}\n\n![Test accuracy over the epochs, its spread, and the "
        f"information plane of the layer, with {IMAGES_OF[NAME]:,} images](images/jonsson.png)",
    )


def _of(name: str) -> str:
    """The table of one number of images."""
    rows = read(RESULTS / f"{name}.jsonl")
    found = {how: [row for row in rows if how_of(row) == how] for how in HOW_OF[name]}
    ran = [{row["setting"]["seed"] for row in own} for own in found.values()]
    seeds = sorted(set.intersection(*ran))
    title = f"{IMAGES_OF[name]:,} images"
    if not seeds:
        return f"{title}: no seed is complete yet."
    kept = {
        how: [next(r for r in own if r["setting"]["seed"] == seed) for seed in seeds]
        for how, own in found.items()
    }
    others = [how for how in found if how != CONTROL]
    tests = {
        what: dict(
            zip(
                others,
                holm([paired_p(column(kept[how], what), column(kept[CONTROL], what)) for how in others]),
                strict=True,
            )
        )
        for what in ("mean", "spread")
    }
    lines = []
    for how in found:
        own = kept[how]
        values = [row["value"][-1] for row in own if row["value"][-1] is not None]
        compared: list[str] = []
        for what in ("mean", "spread"):
            compared += ["", ""] if how == CONTROL else [_beside(kept, how, what), p_text(tests[what][how])]
        lines.append(
            [
                name_of(how),
                len(own),
                *(f"{statistics.fmean(column(own, what)):.2f}" for what in ("mean", "spread")),
                *compared,
                f"{statistics.fmean(row['looks'][-1]['nats']['test'][0] for row in own):.2f}",
                f"{statistics.fmean(row['looks'][-1]['null']['test'][0] for row in own):.4f}",
                f"{statistics.fmean(values):.2f}" if values else "",
            ]
        )
    return f"{title}, {len(seeds)} seeds:\n\n{table(HEAD, lines)}"


def how_of(row: dict[str, Any]) -> tuple[str, float]:
    """Term and strength of a row."""
    return row["setting"]["term"], row["setting"]["strength"]


def name_of(how: tuple[str, float]) -> str:
    """As the table and the figure call it."""
    term, strength = how
    names = {"none": "nothing", "noise": "noise alone (beta = 0)", "mine": f"MINE, beta = {strength:g}"}
    names |= {"vib": f"bottleneck, beta = {strength:g}", "weight decay": f"weight decay {strength:g}"}
    return names.get(term, f"dropout {strength:g}")


def column(rows: Rows, what: str) -> list[float]:
    """The mean of the last third of the epochs, or its standard deviation, in points, of each row."""
    last = [[100 * one for one in row["test"][-(EPOCHS // 3) :]] for row in rows]
    return [statistics.fmean(some) if what == "mean" else statistics.stdev(some) for some in last]


def _beside(kept: dict[tuple[str, float], Rows], how: tuple[str, float], what: str) -> str:
    pairs = zip(column(kept[how], what), column(kept[CONTROL], what), strict=True)
    differences = [one - two for one, two in pairs]
    ends = interval(differences)
    mean = f"{statistics.fmean(differences):+.2f}"
    return mean if ends is None else f"{mean} ({ends[0]:+.2f} to {ends[1]:+.2f})"
