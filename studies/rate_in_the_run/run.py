"""Runs that find their learning rate themselves; see README.md. Rows: results/rate_in_the_run.jsonl."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
from pathlib import Path
from typing import Any

from infopace.lab.config import TrainConfig
from infopace.lab.errors import Diverged
from infopace.lab.progress import Silent
from infopace.lab.run import train
from infopace.lab.run_folder import RunFolder
from studies.fair_tuning.run import WORKLOADS
from studies.shared.in_the_run import search_of
from studies.shared.rows import RESULTS, read

NAME = "rate_in_the_run"
ROWS = RESULTS / f"{NAME}.jsonl"


def main() -> None:
    """Run what is missing, seed by seed."""
    parser = argparse.ArgumentParser(description="Runs that find their learning rate themselves")
    parser.add_argument("workloads", nargs="*", default=WORKLOADS, help="default: all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=Path("runs") / NAME)
    arguments = parser.parse_args()
    done = {(row["workload"], row["seed"]) for row in read(ROWS)}
    wanted = [(name, seed) for seed in range(arguments.seeds) for name in arguments.workloads]
    missing = [case for case in wanted if case not in done]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
        jobs = [pool.submit(one, *case, arguments.scratch) for case in missing]
        for job in concurrent.futures.as_completed(jobs):
            with open(ROWS, "a") as file:
                file.write(json.dumps(job.result()) + "\n")


def one(workload: str, seed: int, scratch: Path) -> dict[str, Any]:
    """One run at the defaults of `infopace train`, as a row."""
    folder = scratch / f"{workload}-seed{seed}"
    failure = ""
    try:
        train(
            TrainConfig(workload, seed=seed, threads=1, out=folder), Silent(), picture=False, std_error=False
        )
    except Diverged as error:
        failure = str(error).partition(";")[0]
    rows = RunFolder(folder).read_rows()[1:]
    search = search_of(folder)
    return {
        "workload": workload,
        "seed": seed,
        "failure": failure,
        "test": [round(row["test"], 6) for row in rows],
        "batches": [row["batches"] for row in rows],
        "lr": [row["lr"][0] for row in rows],
        "train": round(sum(row["seconds"]["train"] for row in rows), 3),
        "measure": round(sum(row["seconds"]["measure"] for row in rows), 3),
        "trials": [
            [search["first"] * 10 ** (one["place"] / 4), one["nats"]] for one in search.get("trials", ())
        ],
        "looks": search.get("looks", []),
        "put_back": search.get("wasted", 0),
    }


if __name__ == "__main__":
    main()
