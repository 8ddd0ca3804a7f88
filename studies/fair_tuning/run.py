"""The published comparisons with a fairly tuned cosine; see README.md.

Rows: results/fair_tuning.jsonl, without those that are published in results/compare_WORKLOAD.jsonl.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

from infopace.lab.compare import CompareConfig, compare
from infopace.lab.errors import Unfinished
from infopace.lab.files import write_atomically
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
    parser = argparse.ArgumentParser(description="The published comparisons with a fairly tuned cosine")
    parser.add_argument("workloads", nargs="*", default=WORKLOADS, help="default: all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=Path("runs") / NAME)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.workloads) - set(WORKLOADS)):
        parser.error(f"workloads must be among {', '.join(WORKLOADS)}, got {unknown[0]!r}")
    missing = [name for name in arguments.workloads if not compared(name, arguments.scratch, arguments.jobs)]
    if missing:
        print(f"runs are missing: {', '.join(missing)}; the same command makes them", file=sys.stderr)
        sys.exit(3)


def compared(workload: str, scratch: Path, jobs: int) -> bool:
    """Compare on one workload and keep the new rows. Whether no run is missing."""
    published, out = RESULTS / f"compare_{workload}.jsonl", scratch / workload
    ours = [row for row in read(RESULTS / f"{NAME}.jsonl") if row["workload"] == workload]
    known = [published]
    if ours:
        known.append(scratch / f"{workload}.jsonl")
        scratch.mkdir(parents=True, exist_ok=True)
        write_atomically(known[-1], _lines(ours))
    print(f"{workload}:", flush=True)
    config = CompareConfig(workload, METHODS, jobs=jobs, known=tuple(known), out=out)
    whole = True
    try:
        lines = compare(config, functools.partial(print, flush=True))
    except Unfinished as error:
        lines, whole = [*error.lines, str(error)], False
    print(*lines, sep="\n", flush=True)
    others = [row for row in read(RESULTS / f"{NAME}.jsonl") if row["workload"] != workload]
    there = {key(row) for row in read(published) if counts(row)}
    new = [
        row for row in read(out / "rows.jsonl") if key(row) not in there and row.get("ended") != "incomplete"
    ]
    write_atomically(RESULTS / f"{NAME}.jsonl", _lines([*others, *new]))
    return whole


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is known by."""
    return tuple(row.get(name) for name in ("part", "method", "lr", "seed", "run_epochs"))


def counts(row: dict[str, Any]) -> bool:
    """Whether `infopace compare --known` takes the row: the run finished, or is known to have diverged."""
    return not row["failure"] or row.get("ended") == "diverged"


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


if __name__ == "__main__":
    main()
