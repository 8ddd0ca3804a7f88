"""A suite in a file of its own: two workloads of three clouds, two methods, one tuned baseline."""

from __future__ import annotations

from pathlib import Path

from infopace.lab.scoreboard import Contestant, Member, Suite

_OWN = Path(__file__).parent.with_name("own.py")
SUITE = Suite(
    "small",
    members=(Member(f"{_OWN}:MINE", 4, 0.2), Member(f"{_OWN}:WIDE", 6, 0.2)),
    contestants=(
        Contestant("infopace-sgd", "hold-and-decay", "sgd"),
        Contestant("adam", "adam", budgets=1.5),
    ),
    tuned=(Contestant("cosine-tuned", "sgd-cosine", grid=(0.003, 0.03, 0.1, 0.3)),),
)
