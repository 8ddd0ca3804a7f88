"""Comparisons on networks of the literature; see README.md. Rows: results/literature_networks.jsonl."""

from __future__ import annotations

from pathlib import Path

from infopace.lab.compare import CompareConfig
from studies.shared.comparisons import compare_shown, run_missing, write_rows
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
    run_missing("The default rule on networks of the literature", NAME, list(BASELINE_OF), compared, jobs=1)


def compared(workload: str, scratch: Path, jobs: int) -> bool:
    """Compare on one workload and keep its rows. Whether no run is missing."""
    path, out = RESULTS / f"{NAME}.jsonl", scratch / workload
    kept = [row for row in read(path) if row["workload"] == workload]
    known = scratch / f"{workload}.jsonl"
    write_rows(known, kept)
    methods = (OURS, BASELINE_OF[workload])
    config = CompareConfig(workload, methods, seeds=SEEDS, jobs=jobs, known=(known,) if kept else (), out=out)
    whole = compare_shown(config)
    others = [row for row in read(path) if row["workload"] != workload]
    write_rows(path, [*others, *read(out / "rows.jsonl")])
    return whole


if __name__ == "__main__":
    main()
