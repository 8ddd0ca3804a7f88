"""Comparisons on networks of the literature; see README.md. Rows: results/literature_networks.jsonl."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path

from infopace.lab.compare import CompareConfig, compare
from infopace.lab.errors import Unfinished
from infopace.lab.files import write_atomically
from studies.shared.rows import RESULTS, read

NAME = "literature_networks"
OURS = "infopace"
# Each with the tuned baseline that has the workload's optimizer.
BASELINE_OF = {
    "handwritten-symbols": "adamw-warmup-cosine",
    "spike-mnist": "sgd-warmup-cosine",
    "movie-polarity": "adamw-warmup-cosine",
}
SEEDS = 5


def main() -> None:
    """Run what is missing. Exit code 3 where runs are missing at the end."""
    parser = argparse.ArgumentParser(description="The default rule on networks of the literature")
    parser.add_argument("workloads", nargs="*", default=list(BASELINE_OF), help="default: all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=Path("runs") / NAME)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.workloads) - set(BASELINE_OF)):
        parser.error(f"workloads must be among {', '.join(BASELINE_OF)}, got {unknown[0]!r}")
    missing = [name for name in arguments.workloads if not compared(name, arguments.scratch, arguments.jobs)]
    if missing:
        print(f"runs are missing: {', '.join(missing)}; the same command makes them", file=sys.stderr)
        sys.exit(3)


def compared(workload: str, scratch: Path, jobs: int) -> bool:
    """Compare on one workload and keep its rows. Whether no run is missing."""
    path, out = RESULTS / f"{NAME}.jsonl", scratch / workload
    kept = [row for row in read(path) if row["workload"] == workload]
    known = scratch / f"{workload}.jsonl"
    scratch.mkdir(parents=True, exist_ok=True)
    write_atomically(known, "".join(f"{json.dumps(row)}\n" for row in kept).encode())
    methods = (OURS, BASELINE_OF[workload])
    config = CompareConfig(workload, methods, seeds=SEEDS, jobs=jobs, known=(known,) if kept else (), out=out)
    print(f"{workload}:", flush=True)
    whole = True
    try:
        lines = compare(config, functools.partial(print, flush=True))
    except Unfinished as error:
        lines, whole = [*error.lines, str(error)], False
    print(*lines, sep="\n", flush=True)
    others = [row for row in read(path) if row["workload"] != workload]
    rows = [*others, *read(out / "rows.jsonl")]
    write_atomically(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    return whole


if __name__ == "__main__":
    main()
