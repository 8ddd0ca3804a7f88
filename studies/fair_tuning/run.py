"""The published comparisons with a fairly tuned cosine; see README.md.

Rows: results/fair_tuning.jsonl, without those that are published in results/compare_WORKLOAD.jsonl.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infopace.lab.compare import CompareConfig
from studies.shared.comparisons import compare_shown, run_missing, write_rows
from studies.shared.rows import RESULTS, read

NAME = "fair_tuning"
# From seconds to hours.
WORKLOADS = (
    "diabetes",
    "cancer-mlp",
    "flipped",
    "friedman-300",
    "friedman-2k",
    "turned",
    "digits",
    "mnist-mlp",
    "noisy-mlp",
    "deep-mlp",
    "mnist-1k",
    "cifar-plain",
    "uci-temperature",
    "mnist-10k",
    "cifar10-small",
)
METHODS = ("hold-and-decay-held-out", "hold-and-decay", "sgd-cosine", "sgd-cosine-as-ours")


def main() -> None:
    """Run what is missing. Exit code 3 where runs are missing at the end."""
    run_missing("The published comparisons with a fairly tuned cosine", NAME, WORKLOADS, compared, jobs=2)


def compared(workload: str, scratch: Path, jobs: int) -> bool:
    """Compare on one workload and keep the new rows. Whether no run is missing."""
    published, out = RESULTS / f"compare_{workload}.jsonl", scratch / workload
    ours = [row for row in read(RESULTS / f"{NAME}.jsonl") if row["workload"] == workload]
    known = [published]
    if ours:
        known.append(scratch / f"{workload}.jsonl")
        write_rows(known[-1], ours)
    whole = compare_shown(CompareConfig(workload, METHODS, jobs=jobs, known=tuple(known), out=out))
    others = [row for row in read(RESULTS / f"{NAME}.jsonl") if row["workload"] != workload]
    there = {key(row) for row in read(published) if counts(row)}
    new = [
        row for row in read(out / "rows.jsonl") if key(row) not in there and row.get("ended") != "incomplete"
    ]
    write_rows(RESULTS / f"{NAME}.jsonl", [*others, *new])
    return whole


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is known by."""
    return tuple(row.get(name) for name in ("part", "method", "lr", "seed", "run_epochs"))


def counts(row: dict[str, Any]) -> bool:
    """Whether `infopace compare --known` takes the row: the run finished, or is known to have diverged."""
    return not row["failure"] or row.get("ended") == "diverged"


if __name__ == "__main__":
    main()
