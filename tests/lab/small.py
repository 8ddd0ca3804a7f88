"""Parts of commands and rows that several tests use."""

from __future__ import annotations

from typing import Any

ONE_PAPER_TRIAL = [
    "--threads",
    "1",
    "--trials",
    "1",
    "--method",
    "paper",
    "--epochs-each",
    "1",
    "--attribute",
    "loss",
]
ROW: dict[str, Any] = {
    "workload": "mine",
    "epochs": 3,
    "part": "test",
    "method": "adam",
    "lr": 0.1,
    "seed": 0,
    "final": 0.5,
    "best": 0.5,
    "best_epoch": 3,
    "failure": "",
    "test": [0.4, 0.4, 0.5],
    "seconds": [1.0, 1.0, 1.0],
}
