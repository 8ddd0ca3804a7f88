"""The section of the results page."""

from __future__ import annotations

import statistics
from typing import Any

from studies.shared.page import read, section, table

NETWORKS = {"dense": "784-128-10", "conv": "two convolutions"}


def text() -> str:
    """Ratios of epochs with a term, or with a diagnostic after them, to the bare epochs before each."""
    rows = read("regularizer_cost")
    bare = {
        network: statistics.median(
            second for row in rows if row["network"] == network for second in row["bare_s"]
        )
        for network in NETWORKS
    }
    names = dict.fromkeys((row["kind"], row["name"]) for row in rows)
    lines: list[list[Any]] = []
    for kind, name in names:
        own = {row["network"]: row for row in rows if (row["kind"], row["name"]) == (kind, name)}
        lines.append([name, kind, *(_cell(own[network]) if network in own else "" for network in NETWORKS)])
    head = ["", "kind", *(f"{words}, epochs" for words in NETWORKS.values())]
    pairs = len(rows[0]["bare_s"])
    seconds = " and ".join(f"{bare[network]:.2f} s for {words}" for network, words in NETWORKS.items())
    return section(
        "What each term and each diagnostic costs",
        f"`python -m studies.regularizer_cost.run --pairs {pairs}`",
        "1,000 MNIST digits in batches of 100 on one thread. A bare epoch comes before each epoch with a term, "
        "and before each diagnostic, in one process. Shown is how many bare epochs an epoch with it takes: the "
        f"median of {pairs} pairs, and the least and the most. A bare epoch takes {seconds}, of a processor "
        "that other programs shared. Terms are as the library makes them; those with a critic fit it five "
        "steps for each of the network's. A diagnostic is called once, after the epoch, on 500 "
        f"examples.\n\n{table(head, lines)}",
    )


def _cell(row: dict[str, Any]) -> str:
    ratios = [then / without for without, then in zip(row["bare_s"], row["with_s"], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
